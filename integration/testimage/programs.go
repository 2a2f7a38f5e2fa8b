package testimage

import "encoding/hex"

// File is an entry of a layer's archive. Type is that of archive/tar.
type File struct {
	Name         string
	Type         byte
	Mode         int64
	Link         string
	Major, Minor int64
	Data         []byte
}

// Programs returns small static programs for amd64, by name. Each is machine
// code of a few system calls.
//
//   - exit ends with the number of its arguments, its name included.
//   - ill executes ud2, which no processor has.
//   - wait blocks all signals, writes "ready", waits for a signal and ends with its number;
//     not for SIGURG, with which Go programs, such as runtimes, interrupt their own threads.
//   - tty ends with 0 when standard output is a terminal, else with ENOTTY, 25.
//   - uid ends with its user ID, modulo 256.
//   - cat copies standard input to standard output.
//   - touch creates the file that is its first argument; it ends with the errno.
//   - ask writes "ready", reads once, and ends with the number of bytes.
//   - forever pauses, without a handler for any signal.
//   - env prints its environment.
func Programs() map[string][]byte {
	programs := make(map[string][]byte)
	for name, code := range map[string]string{
		"ask": "b801000000bf01000000488d3525000000ba060000000f054881ec0010000031c031ff4889e6ba001000000f0589c7b8" +
			"3c0000000f0572656164790a",
		"exit":    "8b3c24b83c0000000f05",
		"ill":     "0f0b",
		"forever": "b8220000000f05ebf7",
		"wait": "b80e00000031ff488d354700000031d241ba080000000f05b801000000bf01000000488d3534000000ba060000000f05" +
			"b880000000488d3d1900000031f631d241ba080000000f0585c078e489c7b83c0000000f05ffffbfffffffffff726561" +
			"64790a",
		"tty": "4881ec80000000b810000000bf01000000be015400004889e20f0589c7f7dfb83c0000000f05",
		"uid": "b8660000000f0589c7b83c0000000f05",
		"cat": "4881ec0010000031c031ff4889e6ba001000000f0585c07e1089c2b801000000bf010000000f05ebde31ffb83c000000" +
			"0f05",
		"touch": "488b7c2410b802000000be41000000baa40100000f0531ff85c0790489c7f7dfb83c0000000f05",
		"env": "488b0424488d5cc410488b334885f6743a4889f2803a00740548ffc2ebf64829f2b801000000bf010000000f05b80100" +
			"0000bf01000000488d3516000000ba010000000f054883c308ebbe31ffb83c0000000f050a",
	} {
		raw, err := hex.DecodeString(code)
		if err != nil {
			panic(err) // a constant of this file
		}
		programs[name] = ELF("amd64", raw)
	}
	return programs
}

// ARM64Exit is a static program for arm64 that ends with 42.
func ARM64Exit() []byte {
	return ELF("arm64", []byte{
		0x40, 0x05, 0x80, 0xd2, // mov x0, #42
		0xa8, 0x0b, 0x80, 0xd2, // mov x8, #93 (exit)
		0x01, 0x00, 0x00, 0xd4, // svc #0
	})
}

package preflight

import (
	"cmp"
	"path"
	"strings"
)

// hintContent tells what a file is that is no program, by its first bytes.
func (k *check) hintContent(head []byte, file string) string {
	text, full := string(head), strings.TrimRight(string(head), "\x00")
	starts := func(s string) bool { return strings.HasPrefix(text, s) }
	switch {
	case full == "":
		return "copy the file again before the image is built: what was meant to be in it is lost"
	case starts("\xef\xbb\xbf#!"):
		return `a byte order mark stands before #!: sed -i '1s/^\xEF\xBB\xBF//' ` + file + ", and build the image again"
	case starts("\xff\xfe"), starts("\xfe\xff"), isWide(head):
		return "it is text in UTF-16: save it as UTF-8 without a byte order mark, and build the image again"
	case starts("version https://git-lfs.github.com/"):
		return "it is a pointer of git-lfs, not the program: git lfs pull, and build the image again"
	case starts("MZ"):
		return "it is a program for Windows: build it for Linux (Go: GOOS=linux; .NET: --os linux), or run it on Windows"
	case starts("\xcf\xfa\xed\xfe"), starts("\xce\xfa\xed\xfe"), starts("\xfe\xed\xfa\xcf"), starts("\xfe\xed\xfa\xce"), starts("\xca\xfe\xba\xbe\x00\x00\x00") && head[7] < 20:
		return "it is a program for macOS: build it for Linux (Go: GOOS=linux; Rust: --target with -linux-)"
	case starts("\xca\xfe\xba\xbe"):
		return `it is a Java class: write ["java", "` + strings.TrimSuffix(path.Base(file), ".class") + `"] in a base image with Java`
	case starts("\x00asm"):
		return "it is WebAssembly: start it by a runtime for it, such as wasmtime in the image, or register one as binfmt_misc handler"
	case starts("PK\x03\x04") && strings.HasSuffix(file, ".jar"):
		return `it is a Java archive: write ["java", "-jar", "` + file + `"] in a base image with Java`
	case starts("PK\x03\x04"), starts("\x1f\x8b"), starts("\x28\xb5\x2f\xfd"), starts("\xfd7zXZ\x00"), starts("BZh"), len(text) > 262 && text[257:262] == "ustar":
		return "it is an archive or compressed: unpack it before the image is built"
	case starts("!<arch>\n"):
		return "it is a library for the linker: link it to a program"
	case starts("\x07\x01\x64"), starts("\x08\x01\x64"), starts("\x0b\x01\x64"):
		return "it is a program in the format a.out, which Linux does not load any more: build it again"
	case !isText(full):
		return ""
	case starts("#!"):
		return "the first line names no interpreter: write #!" + cmp.Or(k.shell(), "/bin/sh") + " there"
	}
	return k.hintText(full, file)
}

// hintText is the way out for text without #!.
func (k *check) hintText(text, file string) string {
	lower := strings.ToLower(text)
	for _, begin := range []string{"<!doctype", "<html", "<?xml", "{\"", "not found", "404: not found"} {
		if strings.HasPrefix(lower, begin) {
			return "it is what a web server answered instead of the program: download it again before the image is built, with curl --fail"
		}
	}
	if i := strings.Index(text, "#!"); i > 0 && strings.TrimSpace(text[:i]) == "" {
		return "#! must be the first two bytes: delete the empty lines or spaces before it in " + file
	}
	if !strings.ContainsAny(text, " \t\r\n") {
		if n, f := k.user.walk(path.Dir(file), text); f == nil && n.path != file || strings.HasPrefix(text, "../") {
			return "it holds the name of a file, as git writes a link where core.symlinks is off: make it a link before the image is built, ln -sf " + text + " " + file
		}
	}
	switch lang := language(file); {
	case lang == "cmd" || lang == "pwsh":
		return "it is a script for Windows: write one for a shell of Linux"
	case lang != "" && k.inPath(lang) != "":
		return "it is a script for " + lang + ": write #!" + k.inPath(lang) + " in its first line, or start it with --entrypoint '" + List([]string{k.inPath(lang), file}) + "'"
	case lang != "":
		return "it is a script for " + lang + ", which the image does not have: use a base image with it, and write " + List([]string{lang, file})
	}
	shell := k.shell()
	if shell == "" {
		return "a script needs #! and its interpreter in the first line, and an interpreter in the image, which has not even a shell"
	}
	return "write #!" + shell + " in its first line, or start it with --entrypoint '" + List([]string{shell, file}) + "'"
}

// language is the program that runs scripts with such a name; "" for a shell, and
// where the name tells nothing.
func language(file string) string {
	return map[string]string{
		".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node", ".rb": "ruby", ".pl": "perl", ".php": "php", ".lua": "lua",
		".bat": "cmd", ".cmd": "cmd", ".ps1": "pwsh",
	}[strings.ToLower(path.Ext(file))]
}

// isWide reports whether a file begins with text in UTF-16 without a mark.
func isWide(head []byte) bool {
	text := func(even, odd int) bool {
		for i := 0; i < 8; i += 2 {
			if c := head[i+even]; head[i+odd] != 0 || c < ' ' && c != '\n' && c != '\r' && c != '\t' || c > '~' {
				return false
			}
		}
		return true
	}
	return text(0, 1) || text(1, 0)
}

// isText reports whether bytes are text for people.
func isText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' && r != '\x1b' })
}

// notExecutable is the way out for a file without an x bit, which alone makes
// no program of it.
func (k *check) notExecutable(file string) string {
	img, f := k.openNode(node{path: file})
	if f != nil {
		return chmod(file)
	}
	defer img.close()
	if isELF(img.head) || strings.HasPrefix(string(img.head), "#!") {
		return chmod(file)
	}
	switch hint := k.hintContent(img.head, file); {
	case hint == "":
		return chmod(file)
	case strings.Contains(hint, " in its first line, or "):
		return strings.Replace(hint, " in its first line, or ", " in its first line and make it executable, chmod +x, or ", 1)
	default:
		return hint
	}
}

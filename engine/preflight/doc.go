// Package preflight predicts what happens when a container of an image starts:
// whether execve succeeds, and if not, how it fails.
//
// It owns the rules of the runtime (user, working directory, search in PATH)
// and of the kernel's exec: binfmt_misc handlers, #! lines, ELF files and their
// loaders, and the level of the CPU. What the machine is and has, it asks a
// [Host]. It executes nothing, follows links inside the root filesystem only, opens
// nothing but regular files, and reads bounded parts of them. It does not mount,
// pull or print.
//
// Words: a root filesystem is a RootFS, read from a directory or from a stack
// of layers; a Command is what the image's config and the user ask to start; a
// Verdict is the prediction. A file is foreign when the kernel has no loader
// for it. What cannot be known has the verdict Unknown and says why.
//
// Rules and their sources, as of Linux 6.18:
//
//	fs/exec.c           order of formats, five interpreter hops, checks on opening
//	fs/namei.c          permissions and links on the way to a file
//	fs/binfmt_misc.c    handlers are asked first
//	fs/binfmt_script.c  the #! line
//	fs/binfmt_elf.c     headers, loader, segments
//	arch/*/asm/elf.h    which machines a kernel takes (package host)
//
// and of the loaders that the kernel starts for a program:
//
//	glibc  elf/dl-load.c, elf/dl-cache.c, sysdeps/x86/dl-prop.h: where libraries
//	       are looked for, and the CPU levels they ask for
//	musl   ldso/dynlink.c: the same, without levels
//	both   elf.h: the symbols that relocations name, and those of hash tables
//
// Not modelled: file capabilities, access control lists, security modules,
// mount options such as noexec, resource limits other than that on the stack, and
// the versions of single symbols.
package preflight

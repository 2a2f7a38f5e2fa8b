package main

// appHelp and commandHelp are what --help prints. Options come after the
// examples: most readers look for a line to copy.
const appHelp = `{{.Name}} - {{.Usage}}

Usage:
  mpull [global flags] [pull] IMAGE...
  mpull [global flags] COMMAND [flags] [arguments]

Commands:
{{range .VisibleCommands}}  {{printf "%-12s" .Name}} {{.Usage}}
{{end}}
Examples:
  mpull alpine:3.15                                        the host's platform
  mpull --arch arm --os linux --variant v7 alpine:3.15     another one; the tag moves to it
  mpull images                                             what is here, for which platform, what dangles
  mpull prune                                              see what would go, agree, get the bytes back

Global flags:
{{range .VisibleFlags}}  {{.}}
{{end}}
Exit codes:
  0    done
  1    no such image, or the answer is no
  2    image in use by a container
  125  mpull, a registry or the store failed, or bad usage
  130  interrupted (143 by SIGTERM)

mpull COMMAND --help explains a command.
`

const commandHelp = `mpull {{.FullName}} - {{.Usage}}

Usage:
  mpull {{if .UsageText}}{{.UsageText}}{{else}}{{.Name}} [flags]{{end}}
{{if .Description}}
{{.Description}}
{{end}}{{if .VisibleCommands}}
Commands:
{{range .VisibleCommands}}  {{printf "%-12s" .Name}} {{.Usage}}
{{end}}{{end}}{{if .VisibleFlags}}
Flags:
{{range .VisibleFlags}}  {{.}}
{{end}}{{end}}`

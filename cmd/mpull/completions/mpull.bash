# bash completion for mpull: asks mpull itself, which knows its commands, flags
# and local images.                                  -*- mode: shell-script -*-
_mpull() {
    local line=${COMP_LINE:0:COMP_POINT} value text kind= found=() words=()
    COMPREPLY=()
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[-1]}
    while IFS=$'\t' read -r value text; do
        case $value in
        :*) kind=$value ;;
        *) found+=("$value") ;;
        esac
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    local path=$current
    [[ $current == --*=* ]] && path=${current#*=}
    case $kind in
    :files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$path"); return ;;
    :dirs) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$path"); return ;;
    esac
    # readline replaces what follows the last of its word breaks only.
    local head=
    [[ $current == *["=:"]* ]] && head=${current%"${current##*[=:]}"}
    for value in "${found[@]}"; do
        COMPREPLY+=("${value#"$head"}")
        [[ $value == *= ]] && compopt -o nospace
    done
}
complete -F _mpull mpull

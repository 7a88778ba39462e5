# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mxwatch_global_optspecs
    string join \n config.file= config.check web.listen-address= web.systemd-socket web.config.file= web.enable-lifecycle shard= log.level= log.format= h/help V/version
end

function __fish_mxwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mxwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mxwatch_using_subcommand
    set -l cmd (__fish_mxwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mxwatch -n "__fish_mxwatch_needs_command" -l config.file -d 'Configuration file' -r -F
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l web.listen-address -d 'Address to serve HTTP on; may be given several times' -r
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l web.config.file -d 'Web configuration: TLS, logins and headers, as other exporters have it (web-config.yml)' -r -F
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l shard -d 'Watch only the share of this agent: I/N is number I, from 0 to N-1, of N agents with the same destinations; with ordinal/N, I is the number at the end of this host\'s name, as in a StatefulSet' -r
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l log.level -d 'Least severity that is logged' -r -f -a "debug\t'More than anybody needs'
info\t'Changes of state and what the agent does'
warn\t'What went wrong'
error\t'What went wrong here'"
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l log.format -d 'Format of the log, on standard error' -r -f -a "logfmt\t'`key=value` pairs'
json\t'One JSON object a line'"
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l config.check -d 'Check the configuration, say everything that is wrong with it, and exit 0 or 78'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l web.systemd-socket -d 'Serve HTTP on the sockets that systemd hands over (mxwatch.socket) instead of an address'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -l web.enable-lifecycle -d 'Allow `POST /-/reload`'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -s V -l version -d 'Print version'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -f -a "check" -d 'Probe domains once, show what was found and what senders would make of it'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -f -a "judge" -d 'Judge what `check --json` found earlier, or facts written by hand; asks nobody'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -f -a "senders" -d 'List the senders that can be judged, or show all parameters of one'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -f -a "demo" -d 'Run the agent against a small mail internet inside this process, one domain per failure'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -f -a "healthy" -d 'Ask a running agent whether it is healthy: exit 0 when it is, 1 when it is not or cannot be asked'
complete -c mxwatch -n "__fish_mxwatch_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l sender -d 'Sender whose verdict to give instead of the configured ones; may be given several times' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l config.file -d 'Configuration to take names, resolvers, senders and limits from; by default /etc/mxwatch/mxwatch.toml if there is one' -r -F
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l helo-name -d 'Name to give with EHLO; by default the configured one, else this host\'s full name, else its address in brackets' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l dns-server -d 'DNS server to ask instead of the configured resolvers; may be given several times: each is a resolver of its own, named after its address, the first the primary' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l port -d 'Port of the exchangers instead of the configured one' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l timeout -d 'The most to wait at each stage of a session, for each DNS query and for an MTA-STS policy, as in "10s"; by default as long as the agent would' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l json -d 'One JSON object per domain and line instead of the report'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l transcript -d 'Show the dialogues too, as telnet would'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -l trace -d 'Also walk from the root to the name servers that have authority over the domain and its exchangers, ask each of them, and show where they fail or differ'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand judge" -l sender -d 'Sender whose verdict to give instead of the configured ones; may be given several times' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand judge" -l config.file -d 'Configuration to take own senders from; by default /etc/mxwatch/mxwatch.toml if there is one' -r -F
complete -c mxwatch -n "__fish_mxwatch_using_subcommand judge" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c mxwatch -n "__fish_mxwatch_using_subcommand judge" -l json -d 'One JSON object per domain and line'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand judge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand senders" -l config.file -d 'Configuration to take own senders from; by default /etc/mxwatch/mxwatch.toml if there is one' -r -F
complete -c mxwatch -n "__fish_mxwatch_using_subcommand senders" -s h -l help -d 'Print help'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand demo" -l web.listen-address -d 'Address to serve HTTP on; a free port of this host by default' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand demo" -l interval -d 'From one round to the next' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand demo" -l log.level -d 'Least severity that is logged; try "info" to see changes as they happen' -r -f -a "debug\t'More than anybody needs'
info\t'Changes of state and what the agent does'
warn\t'What went wrong'
error\t'What went wrong here'"
complete -c mxwatch -n "__fish_mxwatch_using_subcommand demo" -l log.format -d 'Format of the log, on standard error' -r -f -a "logfmt\t'`key=value` pairs'
json\t'One JSON object a line'"
complete -c mxwatch -n "__fish_mxwatch_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand healthy" -l url -d 'Where the agent serves HTTP' -r
complete -c mxwatch -n "__fish_mxwatch_using_subcommand healthy" -s h -l help -d 'Print help'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand help; and not __fish_seen_subcommand_from check judge senders demo healthy help" -f -a "check" -d 'Probe domains once, show what was found and what senders would make of it'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand help; and not __fish_seen_subcommand_from check judge senders demo healthy help" -f -a "judge" -d 'Judge what `check --json` found earlier, or facts written by hand; asks nobody'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand help; and not __fish_seen_subcommand_from check judge senders demo healthy help" -f -a "senders" -d 'List the senders that can be judged, or show all parameters of one'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand help; and not __fish_seen_subcommand_from check judge senders demo healthy help" -f -a "demo" -d 'Run the agent against a small mail internet inside this process, one domain per failure'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand help; and not __fish_seen_subcommand_from check judge senders demo healthy help" -f -a "healthy" -d 'Ask a running agent whether it is healthy: exit 0 when it is, 1 when it is not or cannot be asked'
complete -c mxwatch -n "__fish_mxwatch_using_subcommand help; and not __fish_seen_subcommand_from check judge senders demo healthy help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'

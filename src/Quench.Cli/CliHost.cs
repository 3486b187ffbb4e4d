using Quench.Cli.Secrets;

namespace Quench.Cli;

/// <summary>What a command may see of the machine that it runs on: the process's own in production, doubles in tests.</summary>
internal sealed record CliHost
{
    /// <summary>Data: tables, JSON, a device's path.</summary>
    public required TextWriter Output { get; init; }

    /// <summary>Words for people: messages, progress, questions, errors.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>Reads an environment variable; null when it is not set.</summary>
    public required Func<string, string?> Variable { get; init; }

    /// <summary>The terminal; null when nobody sits at one.</summary>
    public ITerminal? Terminal { get; init; }

    /// <summary>Whether a bar may be drawn on <see cref="Error"/>.</summary>
    public bool ErrorIsTerminal { get; init; }

    /// <summary>Whether this user may do everything.</summary>
    public bool IsRoot { get; init; }

    /// <summary>The time.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The machine's name, as points carry it.</summary>
    public string MachineName { get; init; } = Environment.MachineName;

    /// <summary>The host of a real run.</summary>
    public static CliHost ForThisProcess() => new()
    {
        Output = Console.Out,
        Error = Console.Error,
        Variable = Environment.GetEnvironmentVariable,
        Terminal = Console.IsInputRedirected || Console.IsErrorRedirected ? null : new ConsoleTerminal(),
        ErrorIsTerminal = !Console.IsErrorRedirected,
        IsRoot = Environment.IsPrivilegedProcess,
    };
}

using System.Text;
using Quench.Blocks.Buffers;
using Quench.Cli.Secrets;
using Quench.Vault;

namespace Quench.Cli;

/// <summary>What a command may see of the machine that it runs on: the process's own in production, doubles in tests.</summary>
internal sealed record CliHost
{
    /// <summary>Data: tables, JSON, a device's path.</summary>
    public required TextWriter Output { get; init; }

    /// <summary>Words for people: messages, progress, questions, errors.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>What is given to the process to read.</summary>
    public TextReader Input { get; init; } = TextReader.Null;

    /// <summary>Reads an environment variable; null when it is not set.</summary>
    public required Func<string, string?> Variable { get; init; }

    /// <summary>The terminal; null when nobody sits at one.</summary>
    public ITerminal? Terminal { get; init; }

    /// <summary>Whether a bar may be drawn on <see cref="Error"/>.</summary>
    public bool ErrorIsTerminal { get; init; }

    /// <summary>Whether this user may do everything.</summary>
    public bool IsRoot { get; init; }

    /// <summary>What a guess of a new password costs.</summary>
    public KdfCost PasswordCost { get; init; } = KdfCost.Default;

    /// <summary>Called before a secret is taken in: a real process then forbids that its memory is dumped.</summary>
    public Action BeforeSecrets { get; init; } = static () => { };

    /// <summary>Writes bytes to where <see cref="Output"/> goes, with no buffer that would keep them; null where there is no such way.</summary>
    public Action<ReadOnlySpan<byte>>? Unbuffered { get; init; }

    /// <summary>The time.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The machine's name, as points carry it.</summary>
    public string MachineName { get; init; } = Environment.MachineName;

    /// <summary>The host of a real run.</summary>
    public static CliHost ForThisProcess() => new()
    {
        Input = Console.In,
        Output = Console.Out,
        Error = Console.Error,
        Variable = new SecretEnvironment().Get,
        BeforeSecrets = SecretBytes.ForbidDumps,
        Unbuffered = WriteUnbuffered,
        Terminal = Console.IsInputRedirected || Console.IsErrorRedirected ? null : new ConsoleTerminal(),
        ErrorIsTerminal = !Console.IsErrorRedirected,
        IsRoot = Environment.IsPrivilegedProcess,
    };

    /// <summary>Writes something secret as data: it goes straight to the descriptor, and no copy of it stays in a buffer of ours.</summary>
    public void WriteSecret(ReadOnlySpan<byte> ascii)
    {
        if (Unbuffered is { } write)
        {
            Output.Flush();
            write(ascii);
        }
        else
        {
            Output.Write(Encoding.ASCII.GetString(ascii));
        }
    }

    private static void WriteUnbuffered(ReadOnlySpan<byte> bytes)
    {
        using Stream output = Console.OpenStandardOutput();
        output.Write(bytes);
    }
}

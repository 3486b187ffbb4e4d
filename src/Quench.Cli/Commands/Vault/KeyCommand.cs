using System.CommandLine;
using System.Globalization;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault key: the ways into a vault.</summary>
internal static class KeyCommand
{
    public static Command Make(CliHost host) =>
        new("key", HelpText.Of("vault-key"))
        {
            KeyListCommand.Make(host),
            KeyAddCommand.Make(host),
            KeyRemoveCommand.Make(host),
            KeyPasswdCommand.Make(host),
        };

    /// <summary>What opens a slot, for people.</summary>
    internal static string Describe(KeySlotKind kind) => kind switch
    {
        KeySlotKind.Password => "password",
        KeySlotKind.RecoveryCode => "recovery code",
        KeySlotKind.KeyFile => "key file",
        _ => "unknown",
    };

    /// <summary>What opens a slot, for scripts.</summary>
    internal static string NameOf(KeySlotKind kind) => Describe(kind).Replace(' ', '-');

    /// <summary>What a guess costs, for people.</summary>
    internal static string Describe(KdfCost? cost) => cost is not { } some
        ? ""
        : string.Create(CultureInfo.InvariantCulture, $"{Quench.Blocks.ByteSize.Format(some.MemoryKibibytes * 1024L)}, {some.Passes} passes");
}

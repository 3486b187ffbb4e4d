using System.Text;
using Quench.Cli;
using Quench.Cli.Secrets;
using Quench.Tests.Vault;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.Tests.Cli;

/// <summary>A machine for the command line to run on: its words are kept, its variables and answers come from the test.</summary>
internal sealed class ScriptedHost : ITerminal
{
    private readonly Queue<string> _typed = new();

    public Dictionary<string, string> Variables { get; } = [];

    public StringWriter Output { get; } = new() { NewLine = "\n" };

    public StringWriter Error { get; } = new() { NewLine = "\n" };

    public bool HasTerminal { get; set; }

    public bool IsRoot { get; set; } = true;

    /// <summary>The last line of data.</summary>
    public string LastLine => Output.ToString().TrimEnd('\n').Split('\n')[^1];

    public CliHost Host => new()
    {
        Output = Output,
        Error = Error,
        Variable = name => Variables.GetValueOrDefault(name),
        Terminal = HasTerminal ? this : null,
        IsRoot = IsRoot,
        MachineName = "testhost",
        PasswordCost = KdfCost.Floor,
    };

    public void Type(params string[] answers)
    {
        HasTerminal = true;
        foreach (string answer in answers)
        {
            _typed.Enqueue(answer);
        }
    }

    /// <summary>Makes the vault that the variables name, as "init" does, but with a password that costs nothing to check.</summary>
    public async Task MakeVaultAsync(CancellationToken cancellationToken)
    {
        byte[] password = Encoding.UTF8.GetBytes(Variables["QUENCH_PASSWORD"]);
        VaultSettings settings = new() { Kdf = VaultLab.Cheap, Parity = ParitySettings.Default };
        CreatedVault created = await BackupVault.CreateAsync(new LocalDirectory(Variables["QUENCH_VAULT"]), settings, password, TimeProvider.System, VaultLab.Cheap, cancellationToken);
        created.RecoveryCode.Dispose();
        await created.Vault.DisposeAsync();
    }

    public Task<int> RunAsync(CancellationToken cancellationToken, params string[] args)
    {
        Output.GetStringBuilder().Clear();
        Error.GetStringBuilder().Clear();
        return CommandLine.RunAsync(args, Host, cancellationToken);
    }

    Secret ITerminal.ReadSecret(string prompt)
    {
        Error.Write(prompt);
        return Secret.FromCharacters(_typed.Dequeue().ToCharArray());
    }

    bool ITerminal.Confirm(string question)
    {
        Error.WriteLine(question);
        return _typed.Dequeue() == "yes";
    }
}

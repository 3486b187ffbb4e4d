using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;

namespace Quench.Cli.Secrets;

/// <summary>
/// Where the vault's password comes from: QUENCH_PASSWORD, then QUENCH_PASSWORD_FILE, _COMMAND, _FD, then the terminal. Of files, commands and
/// descriptors the first line counts. A new password comes from variables that begin with QUENCH_NEW_PASSWORD in the same way. An environment variable can't
/// be wiped; everything else is.
/// </summary>
internal static class PasswordSource
{
    /// <summary>The variable that holds the password itself.</summary>
    public const string Variable = "QUENCH_PASSWORD";

    /// <summary>The variable that holds a new password itself.</summary>
    public const string NewVariable = "QUENCH_NEW_PASSWORD";

    /// <summary>The variable that holds the password of the vault that points are copied to.</summary>
    public const string TargetVariable = "QUENCH_TO_PASSWORD";

    private const int LongestSecret = 64 * 1024;

    /// <summary>Gets a password that is to open a vault which another one opens now. On a terminal it is asked for twice.</summary>
    public static Task<Secret> GetNewAsync(CliHost host, CancellationToken cancellationToken) => GetAsync(host, NewVariable, isNew: true, cancellationToken);

    /// <summary>Gets the password of the vault that points are copied to.</summary>
    public static Task<Secret> GetForTargetAsync(CliHost host, CancellationToken cancellationToken) => GetAsync(host, TargetVariable, isNew: false, cancellationToken);

    /// <summary>Gets the password.</summary>
    /// <param name="host">Whose variables and terminal.</param>
    /// <param name="isNew">A new password: on a terminal it is asked for twice.</param>
    /// <param name="cancellationToken">Gives up waiting for a command.</param>
    /// <returns>The password, not empty; the caller disposes it.</returns>
    /// <exception cref="QuenchException">CLI-102, exit code 12: there is none, or it can't be had.</exception>
    public static Task<Secret> GetAsync(CliHost host, bool isNew, CancellationToken cancellationToken) => GetAsync(host, Variable, isNew, cancellationToken);

    private static async Task<Secret> GetAsync(CliHost host, string variable, bool isNew, CancellationToken cancellationToken)
    {
        host.BeforeSecrets();
        Secret secret = await ReadAsync(host, variable, isNew, cancellationToken);
        if (secret.Bytes.Length == 0)
        {
            secret.Dispose();
            throw None("the password is empty", WaysToGive(variable));
        }

        return secret;
    }

    private static string WaysToGive(string variable) =>
        $"set {variable}_FILE, {variable}_COMMAND, {variable}_FD or {variable}, or run this on a terminal";

    private static async Task<Secret> ReadAsync(CliHost host, string variable, bool isNew, CancellationToken cancellationToken)
    {
        if (host.Variable(variable) is { } password)
        {
            return Secret.FirstLineOf(Encoding.UTF8.GetBytes(password));
        }

        if (host.Variable(variable + "_FILE") is { } path)
        {
            return await FromFileAsync(variable, path, cancellationToken);
        }

        if (host.Variable(variable + "_COMMAND") is { } command)
        {
            return await FromCommandAsync(variable, command, cancellationToken);
        }

        if (host.Variable(variable + "_FD") is { } descriptor)
        {
            return await FromDescriptorAsync(variable, descriptor, cancellationToken);
        }

        string what = variable switch
        {
            NewVariable => "no new password was given",
            TargetVariable => "no password of the vault to copy to was given",
            _ => "no password was given",
        };
        return FromTerminal(host.Terminal ?? throw None(what, WaysToGive(variable)), variable, isNew);
    }

    private static async Task<Secret> FromFileAsync(string variable, string path, CancellationToken cancellationToken)
    {
        try
        {
            await using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            return await FirstLineAsync(file, cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw None($"the password file {path} can't be read: {failure.Message}", $"check {variable}_FILE and the file's permissions", failure);
        }
    }

    private static async Task<Secret> FromCommandAsync(string variable, string command, CancellationToken cancellationToken)
    {
        using Process process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true })!;
        Secret secret = await FirstLineAsync(process.StandardOutput.BaseStream, cancellationToken);
        await process.StandardOutput.BaseStream.CopyToAsync(Stream.Null, cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode == 0)
        {
            return secret;
        }

        secret.Dispose();
        throw None($"the password command ended with exit code {process.ExitCode}", $"run what {variable}_COMMAND says, and see what it prints");
    }

    private static async Task<Secret> FromDescriptorAsync(string variable, string descriptor, CancellationToken cancellationToken)
    {
        try
        {
            using SafeFileHandle handle = new(nint.Parse(descriptor, NumberStyles.None, CultureInfo.InvariantCulture), ownsHandle: true);
            await using FileStream stream = new(handle, FileAccess.Read, bufferSize: 0);
            return await FirstLineAsync(stream, cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException or OverflowException or ArgumentException)
        {
            throw None($"the password can't be read from descriptor {descriptor}", $"check {variable}_FD and the redirection that opens it", failure);
        }
    }

    private static async Task<Secret> FirstLineAsync(Stream stream, CancellationToken cancellationToken)
    {
        byte[] buffer = GC.AllocateArray<byte>(LongestSecret, pinned: true);
        try
        {
            int length = 0;
            while (length < buffer.Length && buffer.AsSpan(0, length).IndexOf((byte)'\n') < 0
                && await stream.ReadAsync(buffer.AsMemory(length), cancellationToken) is var count and > 0)
            {
                length += count;
            }

            return Secret.FirstLineOf(buffer.AsSpan(0, length));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
        }
    }

    private static Secret FromTerminal(ITerminal terminal, string variable, bool isNew)
    {
        if (!isNew)
        {
            return terminal.ReadSecret(variable == TargetVariable ? "password of the vault to copy to: " : "password of the vault: ");
        }

        Secret first = terminal.ReadSecret("new password: ");
        using Secret second = terminal.ReadSecret("the same again: ");
        if (first.Matches(second))
        {
            return first;
        }

        first.Dispose();
        throw None("the two passwords differ", "run this again and type the same twice");
    }

    private static QuenchException None(string message, string next, Exception? cause = null) =>
        new("CLI-102", message, next, cause) { ExitCode = ExitCodes.WrongPassword };
}

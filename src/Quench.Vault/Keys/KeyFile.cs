using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Interop.Linux;

namespace Quench.Vault;

/// <summary>A file that opens a vault: 32 random bytes, for its owner alone. (docs/vault-format.md §3.2)</summary>
public static class KeyFile
{
    internal const int Size = 32;
    private const int OwnerOnly = 0x180; // 0600

    /// <summary>Makes a key file, durably. It never takes an existing file's place.</summary>
    /// <param name="path">Where.</param>
    /// <returns>What it holds; the caller disposes it.</returns>
    /// <exception cref="QuenchException">VAULT-068: something is there already, or the medium failed; nothing is left behind then.</exception>
    public static SecretBytes Create(string path)
    {
        string full = Path.GetFullPath(path);
        SecretBytes secret = new(Size);
        bool made = false;
        bool done = false;
        try
        {
            RandomNumberGenerator.Fill(secret.Span);
            using SafeFileHandle file = NativeFile.Open(full, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Exclusive | OpenMode.NoFollow, OwnerOnly);
            made = true;
            NativeFile.Write(file, secret.Span, 0);
            NativeFile.Sync(file);
            NativeFile.SyncDirectory(Path.GetDirectoryName(full)!);
            done = true;
            return secret;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw VaultErrors.KeyFileNotMade(path, failure is LinuxErrorException { Errno: Errno.EEXIST } ? "there is something at that path already" : failure.Message, failure);
        }
        finally
        {
            if (!done)
            {
                secret.Dispose();
                DeleteIf(made, full);
            }
        }
    }

    /// <summary>Takes back a key file that opens nothing: one whose slot could not be added.</summary>
    /// <param name="path">The path that was given to <see cref="Create"/>.</param>
    public static void Discard(string path) => DeleteIf(true, Path.GetFullPath(path));

    /// <summary>Reads a key file.</summary>
    /// <param name="path">Where.</param>
    /// <returns>What it holds; the caller disposes it.</returns>
    /// <exception cref="QuenchException">VAULT-069, exit code 12: it can't be read, or it is no key file.</exception>
    public static SecretBytes Read(string path)
    {
        try
        {
            using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly);
            SecretBytes secret = new(Size + 1); // one more than there should be
            int length = NativeFile.Read(file, secret.Span, 0);
            if (length == Size)
            {
                secret.Shorten(Size);
                return secret;
            }

            secret.Dispose();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw VaultErrors.KeyFileUnreadable(path, failure.Message, failure);
        }

        throw VaultErrors.KeyFileUnreadable(path, "it is not 32 bytes long");
    }

    /// <summary>Whether others than its owner may read it: then it protects nothing from them.</summary>
    public static bool IsExposed(string path) => OperatingSystem.IsLinux()
        && (File.GetUnixFileMode(path) & (UnixFileMode.GroupRead | UnixFileMode.OtherRead | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0;

    private static void DeleteIf(bool made, string path)
    {
        if (made)
        {
            try
            {
                File.Delete(path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // what remains are random bytes that open nothing
            }
        }
    }
}

using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Vault.Stores;

/// <summary>Healing in place. (docs/vault-format.md §6.6)</summary>
public sealed partial class LocalDirectory
{
    private const string AsidePrefix = ".aside-";

    /// <inheritdoc/>
    public Task<bool> ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectName.Check(name);
        cancellationToken.ThrowIfCancellationRequested();
        string path = PathOf(name);
        return Task.Run(() => Guard($"healing {name}", () => TryReplace(path, content.Span)), cancellationToken);
    }

    private bool TryReplace(string path, ReadOnlySpan<byte> content)
    {
        string folder = Path.GetDirectoryName(path)!;
        if (NativeFile.TryGetStatus(path, followLinks: false) is null)
        {
            return false;
        }

        MakeReady(folder);
        string temporary = Path.Combine(folder, TemporaryPrefix + RandomNumberGenerator.GetHexString(32, lowercase: true));
        bool exchanged;
        try
        {
            using SafeFileHandle file = NativeFile.Open(temporary, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Exclusive | OpenMode.NoFollow, FileBits);
            _ = AdvisoryLock.TryTake(file); // as for any unfinished put
            NativeFile.Write(file, content, 0);
            NativeFile.Sync(file);
            exchanged = TryExchange(folder, path, temporary);
        }
        finally
        {
            Abandon(temporary); // before the exchange our own unfinished file, after it the damaged one, which has its second name
        }

        NativeFile.SyncDirectory(folder);
        return exchanged;
    }

    /// <summary>The damaged file gets its second name durably before it loses the first, so that it can always be brought back.</summary>
    private static bool TryExchange(string folder, string path, string temporary)
    {
        string aside = Path.Combine(folder, $"{AsidePrefix}{Path.GetFileName(path)}-{RandomNumberGenerator.GetHexString(8, lowercase: true)}");
        if (!NativeFile.TryLink(path, aside))
        {
            return false;
        }

        NativeFile.SyncDirectory(folder);
        bool exchanged = NativeFile.TryExchange(temporary, path);
        if (!exchanged)
        {
            Abandon(aside);
        }

        return exchanged;
    }
}

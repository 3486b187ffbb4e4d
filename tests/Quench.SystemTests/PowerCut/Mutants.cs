using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Vault.Stores;

namespace Quench.SystemTests.PowerCut;

/// <summary>The ways to write a vault wrongly that the power-cut test must catch.</summary>
public enum Mutant
{
    /// <summary>As it is.</summary>
    None,

    /// <summary>Directories are not synced, nor second copies: the sync of a copy that comes last would take the directories along in the journal.</summary>
    NoDirectorySync,

    /// <summary>Nothing is synced.</summary>
    NoSync,

    /// <summary>The commit key before the packs.</summary>
    PointBeforePacks,
}

/// <summary>System calls that say they succeeded and did nothing.</summary>
internal sealed class Pretence(params IoCall[] calls) : IIoFaults
{
    internal static IIoFaults? Of(Mutant mutant) => mutant switch
    {
        Mutant.NoDirectorySync => new Pretence(IoCall.SyncDirectory),
        Mutant.NoSync => new Pretence(IoCall.Sync, IoCall.SyncDirectory),
        _ => null,
    };

    public int? Answer(IoCall call, string? path, SafeFileHandle? file) => calls.Contains(call) || (call == IoCall.Sync && IsSecondCopy(file!)) ? 0 : null;

    private static bool IsSecondCopy(SafeFileHandle file) =>
        File.ResolveLinkTarget($"/proc/self/fd/{file.DangerousGetHandle()}", returnFinalTarget: false)!.FullName.Contains("/copies/", StringComparison.Ordinal);

    public int Shorten(IoCall call, int length) => length;
}

/// <summary>A store that keeps packs back until the session has committed. It is no good, and that is what it is for.</summary>
internal sealed class PacksLast(LocalDirectory inner) : IHealingStore
{
    private readonly ConcurrentQueue<(string Name, byte[] Content)> _held = [];

    public string Location => inner.Location;

    public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (name.StartsWith("packs/", StringComparison.Ordinal))
        {
            _held.Enqueue((name, content.ToArray()));
            return;
        }

        await inner.PutAsync(name, content, cancellationToken);
    }

    public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        bool done = await inner.TryPutAsync(name, content, cancellationToken);
        while (_held.TryDequeue(out (string Name, byte[] Content) pack))
        {
            await inner.PutAsync(pack.Name, pack.Content, cancellationToken);
        }

        return done;
    }

    public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) => inner.GetAsync(name, cancellationToken);

    public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
        inner.TryReadAsync(name, offset, into, cancellationToken);

    public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

    public Task<bool> ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.ReplaceAsync(name, content, cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}

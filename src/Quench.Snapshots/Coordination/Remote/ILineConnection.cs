namespace Quench.Snapshots.Coordination.Remote;

/// <summary>A way to a writer in another process: lines out, bytes in.</summary>
internal interface ILineConnection : IAsyncDisposable
{
    /// <summary>What is at the other end, for people.</summary>
    string Name { get; }

    /// <summary>Opens it.</summary>
    /// <param name="takes">Given what comes in, by one thread at a time; false to hear no more.</param>
    /// <param name="lost">Told once, when the other end is gone, with the reason.</param>
    /// <param name="cancellationToken">The deadline.</param>
    Task OpenAsync(Func<ReadOnlyMemory<byte>, bool> takes, Action<string> lost, CancellationToken cancellationToken);

    /// <summary>Sends bytes.</summary>
    Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);
}

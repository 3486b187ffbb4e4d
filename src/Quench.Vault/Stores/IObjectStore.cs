namespace Quench.Vault.Stores;

/// <summary>
/// A place that keeps named, immutable objects: a directory, a bucket. The whole promise is on this page; whoever writes another store
/// needs no other document and passes <c>ObjectStoreConformance</c>.
/// </summary>
/// <remarks>
/// <para><b>Names</b> are one or more segments joined by '/', each of lower-case letters, digits and '-', at most 200 characters in all.
/// Any other name is an <see cref="ArgumentException"/>.</para>
/// <para><b>Objects</b> never change: they are put whole, read, listed and deleted. A reader sees all of an object or none of it.
/// What was put is in every listing that begins after the put completed, and what was deleted is in none that begins after the delete did.</para>
/// <para><b>Lanes.</b> Every method may be called from any thread, many at once, by many processes.</para>
/// <para><b>Failures</b> of the medium are <see cref="Quench.Blocks.QuenchException"/>, which say whether to try again. After a failed put the object is
/// there, whole, or not there; putting the same bytes again is always allowed. Cancelling counts as a failure.</para>
/// </remarks>
public interface IObjectStore : IAsyncDisposable
{
    /// <summary>Where it is, as a person would say it: a path, an address.</summary>
    string Location { get; }

    /// <summary>Stores an object. It is durable when the task completes: it survives the loss of power in that very moment.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="content">Its bytes; lent until the task completes, read from the start.</param>
    /// <param name="cancellationToken">Gives up; see Failures above.</param>
    /// <exception cref="ObjectExistsException">The name holds other bytes. The same bytes are success: a put may be repeated.</exception>
    Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>Stores an object if its name is free: of many that try at once, in any number of processes, exactly one succeeds.</summary>
    /// <returns>True: the object is stored and durable. False: the name was taken, by whatever bytes, and nothing has changed.</returns>
    Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>Reads a whole object.</summary>
    /// <returns>Its bytes, the caller's own; null when there is no such object.</returns>
    Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken);

    /// <summary>Reads a part of an object.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="into">Filled when the answer is true; undefined otherwise.</param>
    /// <param name="cancellationToken">Gives up; the buffer is then undefined.</param>
    /// <returns>False when there is no such object, or it ends before the buffer is full.</returns>
    ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken);

    /// <summary>Lists the objects whose names begin with a prefix, in no particular order. An empty prefix lists everything.</summary>
    /// <remarks>
    /// An object put or deleted meanwhile may be listed or not. Things that the store did not make are listed too, marked foreign;
    /// unfinished puts are not.
    /// </remarks>
    IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>Deletes an object, durably. One that is not there is success.</summary>
    Task DeleteAsync(string name, CancellationToken cancellationToken);
}

/// <summary>An entry of a listing.</summary>
/// <param name="Name">The object's name; for a foreign thing, what a person would call it.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsForeign">Something that no store made: its name is not a name of an object. It can be reported, and nothing else.</param>
public readonly record struct StoredObject(string Name, long Length, bool IsForeign = false);

using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Stores;

namespace Quench.Vault.Roots;

/// <summary>What was read of a root.</summary>
/// <param name="Value">What the primary holds, or else the copy; null when neither checks out.</param>
/// <param name="IsMissing">Neither is there.</param>
/// <param name="IsLone">The value is a copy's whose primary is not there at all.</param>
internal readonly record struct RootReading<T>(T? Value, bool IsMissing, bool IsLone = false)
    where T : class;

/// <summary>
/// The roots: small objects that all else hangs on, each kept twice under the rules of docs/vault-format.md. Whoever puts, reads, lists or deletes one goes
/// through here. (§2.1)
/// </summary>
/// <remarks>The order is the whole point: primary before copy when putting, copy before primary when deleting. All methods may be called from any thread.</remarks>
internal static class RootCopies
{
    private static readonly string[] s_prefixes = [ObjectNames.Configs, ObjectNames.Slots, ObjectNames.Rings, ObjectNames.Points, ObjectNames.Commits];

    /// <summary>What the names of roots begin with; "format" is the one without a folder.</summary>
    internal static IReadOnlyList<string> Prefixes => s_prefixes;

    /// <summary>Whether an object of this name is kept twice.</summary>
    internal static bool IsRoot(string name) =>
        name == ObjectNames.Format || s_prefixes.Any(prefix => name.Length > prefix.Length && name.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>What the second copy of a root is called.</summary>
    internal static string CopyOf(string root) => ObjectNames.Copies + root;

    /// <summary>The root that a copy is of; null when the name is not one of a copy.</summary>
    internal static string? TryRootOf(string name) =>
        name.StartsWith(ObjectNames.Copies, StringComparison.Ordinal) && IsRoot(name[ObjectNames.Copies.Length..]) ? name[ObjectNames.Copies.Length..] : null;

    /// <summary>Puts a root, then its copy. Both are durable when the task completes.</summary>
    internal static async Task PutAsync(IObjectStore store, string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await store.PutAsync(name, content, cancellationToken);
        await store.PutAsync(CopyOf(name), content, cancellationToken);
    }

    /// <summary>Puts a root if its name is free, and its copy if the store goes along.</summary>
    /// <returns>True: the primary is durable. False: nothing has changed.</returns>
    internal static async Task<bool> TryPutAsync(IObjectStore store, string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        bool taken = await TryPutPrimaryAsync(store, name, content, cancellationToken);
        if (taken)
        {
            _ = await TryPutCopyAsync(store, name, content);
        }

        return taken;
    }

    /// <summary>Puts the primary of a root if its name is free: what has a copy has been there before, so its name is taken although the primary may be lost.</summary>
    /// <returns>True: the primary is durable. False: nothing has changed.</returns>
    internal static async Task<bool> TryPutPrimaryAsync(IObjectStore store, string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        await store.GetAsync(CopyOf(name), cancellationToken) is null && await store.TryPutAsync(name, content, cancellationToken);

    /// <summary>
    /// Puts the copy of a root that has taken effect already: that the store fails is no failure of what was done, and
    /// who gives up now is too late, so it can't be cancelled.
    /// </summary>
    /// <returns>False when the vault has to do without; verification says so and a repair makes it.</returns>
    internal static async Task<bool> TryPutCopyAsync(IObjectStore store, string name, ReadOnlyMemory<byte> content)
    {
        try
        {
            await store.PutAsync(CopyOf(name), content, CancellationToken.None);
            if (await store.GetAsync(name, CancellationToken.None) is not null)
            {
                return true;
            }

            await store.DeleteAsync(CopyOf(name), CancellationToken.None); // its primary was removed while we slept: a copy would bring it back
            return false;
        }
        catch (QuenchException)
        {
            return false;
        }
    }

    /// <summary>Deletes a root: copy, primary, and the copy again, which a repair may have put in between.</summary>
    internal static async Task DeleteAsync(IObjectStore store, string name, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(CopyOf(name), cancellationToken);
        await store.DeleteAsync(name, cancellationToken);
        await store.DeleteAsync(CopyOf(name), cancellationToken);
    }

    /// <summary>Reads a root, from its copy where the primary is missing, unreadable or does not check out.</summary>
    /// <param name="store">Where.</param>
    /// <param name="name">The root's name, which its copy is authenticated with too.</param>
    /// <param name="open">Takes the bytes of one of the two; null when they do not check out.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">The store failed, and what could be read of the other one did not check out.</exception>
    internal static async Task<RootReading<T>> TryReadEitherAsync<T>(
        IObjectStore store, string name, Func<byte[], T?> open, CancellationToken cancellationToken)
        where T : class
    {
        StoreRead primary = await StoreRead.TryAsync(store, name, cancellationToken);
        if (primary.Content is { } first && open(first) is { } value)
        {
            return new RootReading<T>(value, false);
        }

        StoreRead copy = await StoreRead.TryAsync(store, CopyOf(name), cancellationToken);
        if (copy.Content is { } second && open(second) is { } stored)
        {
            return new RootReading<T>(stored, false, IsLone: primary is { Content: null, Failure: null });
        }

        primary.ThrowIfFailed();
        copy.ThrowIfFailed();
        return new RootReading<T>(null, primary.Content is null && copy.Content is null);
    }

    /// <summary>Lists the roots below a prefix by the names of their primaries, those of which only the copy is there too.</summary>
    internal static async Task<IReadOnlyCollection<string>> ListAsync(IObjectStore store, string prefix, CancellationToken cancellationToken)
    {
        SortedSet<string> names = new(StringComparer.Ordinal);
        await foreach (StoredObject found in store.ListAsync(prefix, cancellationToken))
        {
            if (!found.IsForeign && IsRoot(found.Name))
            {
                names.Add(found.Name);
            }
        }

        await foreach (StoredObject found in store.ListAsync(CopyOf(prefix), cancellationToken))
        {
            if (!found.IsForeign && TryRootOf(found.Name) is { } root)
            {
                names.Add(root);
            }
        }

        return names;
    }

    /// <summary>Makes missing copies, puts damaged or lost roots back from sound copies, and finishes removals of key slots. Safe beside everything else.</summary>
    internal static Task<RootRepairReport> HealAsync(IObjectStore store, RootJudge judge, CancellationToken cancellationToken) =>
        new RootHealer(store, judge).RunAsync(cancellationToken);
}

using Quench.Vault.Format;
using Quench.Vault.Stores;

namespace Quench.Vault.Roots;

/// <summary>How one of the two objects of a root was found.</summary>
internal enum RootHalf
{
    Missing,
    Damaged,
    Sound,
}

/// <summary>A root as it was found: its primary, its copy, and the bytes that either holds if they check out.</summary>
/// <param name="Name">The primary's name.</param>
/// <param name="Primary">The primary.</param>
/// <param name="Copy">The copy.</param>
/// <param name="Content">Sound bytes: the primary's, or else the copy's; null when there are none.</param>
/// <param name="Differs">Both check out and are not the same.</param>
internal sealed record RootState(string Name, RootHalf Primary, RootHalf Copy, byte[]? Content, bool Differs)
{
    /// <summary>What is to be said of it in a verification; null when nothing is wrong. A copy that was never made is nothing wrong.</summary>
    internal string? Trouble() => (Primary, Copy) switch
    {
        (RootHalf.Sound, RootHalf.Damaged) => $"{RootCopies.CopyOf(Name)} is damaged; {Name}, which it is a copy of, is sound",
        (RootHalf.Damaged, RootHalf.Sound) => $"{Name} is damaged; its copy is sound and is used in its place",
        (RootHalf.Missing, RootHalf.Sound) => $"{Name} is missing; its copy is sound and is used in its place",
        (RootHalf.Sound, RootHalf.Sound) when Differs => $"{Name} and its copy are both sound and not the same",
        (RootHalf.Sound, _) or (RootHalf.Missing, RootHalf.Missing) => null,
        (RootHalf.Damaged, RootHalf.Damaged) => $"{Name} is damaged, and so is its copy",
        (RootHalf.Missing, RootHalf.Damaged) => $"{Name} is missing, and its copy is damaged",
        _ => $"{Name} is damaged",
    };
}

/// <summary>Looks at both objects of roots. Writes nothing. (§2.1)</summary>
internal sealed class RootSurvey(IObjectStore store, RootJudge judge)
{
    /// <summary>Looks at every root of the vault, but for what was removed on purpose and left its copy behind.</summary>
    internal async IAsyncEnumerable<RootState> RunAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return await LookAsync(ObjectNames.Format, cancellationToken);
        foreach (string prefix in RootCopies.Prefixes)
        {
            foreach (string name in await RootCopies.ListAsync(store, prefix, cancellationToken))
            {
                RootState state = await LookAsync(name, cancellationToken);
                if (state.Primary != RootHalf.Missing || !await IsForgottenAsync(state, cancellationToken))
                {
                    yield return state;
                }
            }
        }
    }

    /// <summary>Looks at one root.</summary>
    internal async Task<RootState> LookAsync(string name, CancellationToken cancellationToken)
    {
        StoreRead primary = await StoreRead.TryAsync(store, name, cancellationToken);
        StoreRead copy = await StoreRead.TryAsync(store, RootCopies.CopyOf(name), cancellationToken);
        RootHalf first = Judge(name, primary);
        RootHalf second = Judge(name, copy);
        byte[]? content = first == RootHalf.Sound ? primary.Content : second == RootHalf.Sound ? copy.Content : null;
        if (content is null)
        {
            primary.ThrowIfFailed(); // it may be whole: that nobody can read it now is no finding
        }

        bool differs = first == RootHalf.Sound && second == RootHalf.Sound && !primary.Content.AsSpan().SequenceEqual(copy.Content);
        return new RootState(name, first, second, content, differs);
    }

    private RootHalf Judge(string name, StoreRead read) => read switch
    {
        { Failure: not null } => RootHalf.Damaged,
        { Content: null } => RootHalf.Missing,
        _ => judge.IsSound(name, read.Content) ? RootHalf.Sound : RootHalf.Damaged,
    };

    /// <summary>Whether what is left of a root belongs to a point that is forgotten: the garbage collection's, and nobody else's. (§11.2)</summary>
    private async Task<bool> IsForgottenAsync(RootState state, CancellationToken cancellationToken) =>
        PointOf(state) is { } point
        && await store.GetAsync(ObjectNames.Forget(point), cancellationToken) is { } tombstone
        && judge.Keys.TryOpenEnvelope(EnvelopeKind.Forget, ObjectNames.Forget(point), tombstone) is not null;

    private Guid? PointOf(RootState state)
    {
        if (state.Name.StartsWith(ObjectNames.Points, StringComparison.Ordinal))
        {
            return ObjectNames.TryParseId(state.Name, out Guid id) ? id : null;
        }

        return state.Name.StartsWith(ObjectNames.Commits, StringComparison.Ordinal) && state.Content is not null
            && judge.Keys.TryOpenEnvelope(EnvelopeKind.Commit, state.Name, state.Content) is { } body && CommitBody.TryRead(body, out CommitBody commit)
            ? commit.PointId
            : null;
    }
}

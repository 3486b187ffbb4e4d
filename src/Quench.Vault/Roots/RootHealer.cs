using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Stores;

namespace Quench.Vault.Roots;

/// <summary>Brings every root back to two sound objects, as far as one of the two is left. (§2.1)</summary>
/// <remarks>
/// Nothing is deleted before sound bytes for its place have been read, and a crash at any moment leaves at least what there was. What is removed by somebody
/// else meanwhile stays removed: who has put something back looks once more.
/// </remarks>
internal sealed class RootHealer(IObjectStore store, RootJudge judge)
{
    private readonly List<string> _restored = [];
    private readonly List<string> _copied = [];
    private readonly List<string> _removed = [];
    private readonly List<string> _lost = [];
    private readonly List<string> _differing = [];

    internal async Task<RootRepairReport> RunAsync(CancellationToken cancellationToken)
    {
        await foreach (RootState state in new RootSurvey(store, judge).RunAsync(cancellationToken))
        {
            await HealAsync(state, cancellationToken);
        }

        return new RootRepairReport(_restored, _copied, _removed, _lost, _differing);
    }

    private async Task HealAsync(RootState state, CancellationToken cancellationToken)
    {
        if (await IsRemovedAsync(state.Name, cancellationToken))
        {
            await RootCopies.DeleteAsync(store, state.Name, cancellationToken);
            _removed.Add(state.Name);
        }
        else if (state.Differs)
        {
            _differing.Add(state.Name);
        }
        else if (state.Content is null)
        {
            if (state.Primary != RootHalf.Missing || state.Copy != RootHalf.Missing) // else deleted since it was listed
            {
                _lost.Add(state.Name);
            }
        }
        else if (state.Primary == RootHalf.Missing && await IsCollectedAsync(state.Name, state.Content, cancellationToken))
        {
            _removed.Add(state.Name); // the collector's to delete, or its leftover
        }
        else if (state.Primary != RootHalf.Sound)
        {
            await RestoreAsync(state.Name, state.Primary, state.Content, cancellationToken);
        }
        else if (state.Copy != RootHalf.Sound)
        {
            await CopyAsync(state.Name, state.Copy, state.Content, cancellationToken);
        }
    }

    private async Task RestoreAsync(string name, RootHalf found, byte[] content, CancellationToken cancellationToken)
    {
        if (found == RootHalf.Damaged)
        {
            await store.DeleteAsync(name, cancellationToken); // the copy holds the same bytes, durably
        }

        await store.PutAsync(name, content, cancellationToken);
        if (await IsRemovedAsync(name, cancellationToken))
        {
            await RootCopies.DeleteAsync(store, name, cancellationToken);
            _removed.Add(name);
        }
        else
        {
            _restored.Add(name);
        }
    }

    private async Task CopyAsync(string name, RootHalf found, byte[] content, CancellationToken cancellationToken)
    {
        if (found == RootHalf.Damaged)
        {
            await store.DeleteAsync(RootCopies.CopyOf(name), cancellationToken);
        }

        await store.PutAsync(RootCopies.CopyOf(name), content, cancellationToken);
        if (await store.GetAsync(name, cancellationToken) is null)
        {
            await store.DeleteAsync(RootCopies.CopyOf(name), cancellationToken); // its primary was removed meanwhile
        }
        else
        {
            _copied.Add(name);
        }
    }

    /// <summary>Whether a root that only its copy is left of belongs to a point that is forgotten, or of which nothing else is left. (§2.1)</summary>
    private async Task<bool> IsCollectedAsync(string name, byte[] copy, CancellationToken cancellationToken)
    {
        if (name.StartsWith(ObjectNames.Points, StringComparison.Ordinal))
        {
            return ObjectNames.TryParseId(name, out Guid named) && await store.GetAsync(ObjectNames.Forget(named), cancellationToken) is not null;
        }

        if (!name.StartsWith(ObjectNames.Commits, StringComparison.Ordinal)
            || judge.Keys.TryOpenEnvelope(EnvelopeKind.Commit, name, copy) is not { } body
            || !CommitBody.TryRead(body, out CommitBody commit)
            || commit.Verdict != Verdict.Committed)
        {
            return false;
        }

        string manifest = ObjectNames.Point(commit.PointId);
        string tombstone = ObjectNames.Forget(commit.PointId);
        return await store.GetAsync(tombstone, cancellationToken) is not null
            || (await store.GetAsync(manifest, cancellationToken) is null && await store.GetAsync(RootCopies.CopyOf(manifest), cancellationToken) is null);
    }

    private async Task<bool> IsRemovedAsync(string name, CancellationToken cancellationToken) =>
        name.StartsWith(ObjectNames.Slots, StringComparison.Ordinal) && ObjectNames.TryParseId(name, out Guid slot)
        && await SlotRemoval.StandsAsync(store, judge.Keys, slot, cancellationToken);
}

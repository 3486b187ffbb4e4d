using System.Diagnostics;
using Xunit;

namespace Quench.Tests.Simulation.Collection;

/// <summary>
/// Every interleaving of sessions, collectors and a user who forgets, breadth first. <c>QUENCH_MODEL=large</c> tries more of everything at once.
/// </summary>
public sealed class CollectionModelTests(ITestOutputHelper output)
{
    private const int DefaultStates = 1_000_000;

    [Theory]
    [InlineData(2, 1, 1, true)]
    [InlineData(2, 2, 1, true)]
    [InlineData(1, 2, 2, true)]
    [InlineData(2, 1, 2, true)]
    [InlineData(2, 2, 2, false)]
    public void Nothing_that_a_point_needs_is_ever_lost(int sessions, int collectors, int generations, bool repacking) =>
        Prove(sessions, collectors, generations, repacking);

    [Fact]
    public void Nothing_is_lost_in_the_whole_world_either()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("QUENCH_MODEL") == "large", "QUENCH_MODEL=large runs it; it takes a minute and 2 GiB");
        Prove(2, 2, 2, repacking: true);
    }

    [Theory]
    [InlineData(ModelMutation.NoWait)]
    [InlineData(ModelMutation.NoFence)]
    [InlineData(ModelMutation.NoRelist)]
    [InlineData(ModelMutation.RegisterLate)]
    [InlineData(ModelMutation.StaleCache)]
    [InlineData(ModelMutation.ContentNames)]
    [InlineData(ModelMutation.CondemnBeforeCopy)]
    [InlineData(ModelMutation.OwnListsCount)]
    [InlineData(ModelMutation.IndexDeletedFirst)]
    [InlineData(ModelMutation.UnnamedPackTrusted)]
    [InlineData(ModelMutation.OldListsDeleted)]
    [InlineData(ModelMutation.OpenGenerationIgnored)]
    public void A_mistake_in_the_protocol_is_found(ModelMutation mutation)
    {
        foreach ((int sessions, int collectors, int generations) in ((int, int, int)[])[(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 2, 2), (2, 2, 1), (2, 2, 2)])
        {
            Search search = new(new CollectionModel(sessions, collectors, generations, repacking: mutation is ModelMutation.CondemnBeforeCopy or ModelMutation.OwnListsCount, mutation));
            if (search.Run(DefaultStates * 2) is { } trace)
            {
                output.WriteLine($"{mutation}: {sessions} sessions, {collectors} collectors, {generations} generations, {search.Count:N0} states, {trace.Count} steps");
                trace.ForEach(output.WriteLine);
                return;
            }
        }

        Assert.Fail($"{mutation} went unnoticed");
    }

    private void Prove(int sessions, int collectors, int generations, bool repacking)
    {
        Stopwatch watch = Stopwatch.StartNew();
        Search search = new(new CollectionModel(sessions, collectors, generations, repacking, ModelMutation.None));
        List<string>? trace = search.Run(int.MaxValue);
        output.WriteLine($"{sessions} sessions, {collectors} collectors, {generations} generations, repacking {repacking}: {search.Count:N0} states, {watch.Elapsed.TotalSeconds:F1} s");
        Assert.True(trace is null, string.Join('\n', trace ?? []));
    }

    /// <summary>A breadth-first search for a state in which something is lost.</summary>
    private sealed class Search(CollectionModel model)
    {
        private readonly List<ModelState> _states = []; // in the order in which they were reached
        private readonly List<int> _parents = [];
        private readonly HashSet<ModelState> _known = [];

        internal int Count => _states.Count;

        /// <summary>Searches.</summary>
        /// <returns>The steps that lead to the nearest bad state; null when there is none.</returns>
        internal List<string>? Run(int limit)
        {
            Add(CollectionModel.Start, -1);
            for (int i = 0; i < _states.Count && i < limit; i++)
            {
                if (!CollectionModel.IsSound(_states[i]))
                {
                    return TraceTo(i);
                }

                int parent = i;
                model.Expand(_states[i], (in ModelState next, string _, int _) => Add(next, parent));
            }

            return null;
        }

        private void Add(in ModelState state, int parent)
        {
            if (_known.Add(state))
            {
                _states.Add(state);
                _parents.Add(parent);
            }
        }

        private List<string> TraceTo(int at)
        {
            List<string> trace = [];
            for (; _parents[at] >= 0; at = _parents[at])
            {
                ModelState wanted = _states[at];
                string? step = null;
                model.Expand(_states[_parents[at]], (in ModelState next, string what, int who) => step ??= next.Equals(wanted) ? $"{what} ({who})" : null);
                trace.Insert(0, $"{step}: packs {Convert.ToString(wanted.Packs, 2)}, named {Convert.ToString(wanted.Named, 2)}, points {Convert.ToString(wanted.Points, 2)}");
            }

            return trace;
        }
    }
}

using Quench.Blocks;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.Tests.Snapshots.Tracked;

/// <summary>The decisions one by one; then whole copies of a model volume under writers that race the copier, every one from a seed.</summary>
public sealed class ConvergenceTests
{
    private const long MiB = 1 << 20;

    private static readonly ConvergenceLimits s_limits = new() { LittleBytes = 4 * MiB, HeldBytes = 64 * MiB, Passes = 10, Time = TimeSpan.FromMinutes(5) };

    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("QUENCH_ROUNDS"), out int rounds) ? rounds : 300;

    [Fact]
    public void What_shrinks_is_copied_until_little_is_left()
    {
        Convergence convergence = new(s_limits);
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(2048 * MiB, false, TimeSpan.Zero));
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(130 * MiB, false, TimeSpan.FromSeconds(10)));
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(13 * MiB, false, TimeSpan.FromSeconds(11)));
        Assert.Equal(ConvergenceStep.Hold, convergence.Judge(3 * MiB, false, TimeSpan.FromSeconds(12)));
        Assert.Equal(3, convergence.Passes);
    }

    [Fact]
    public void What_shrinks_no_more_and_fits_memory_is_held()
    {
        Convergence convergence = After(s_limits, 2048 * MiB, 40 * MiB);
        Assert.Equal(ConvergenceStep.Hold, convergence.Judge(38 * MiB, false, TimeSpan.FromSeconds(3)));
    }

    [Fact]
    public void What_shrinks_no_more_and_does_not_fit_is_given_up_after_a_few_passes()
    {
        Convergence convergence = After(s_limits, 2048 * MiB, 900 * MiB, 880 * MiB, 890 * MiB);
        Assert.Equal(ConvergenceStep.GiveUp, convergence.Judge(895 * MiB, false, TimeSpan.FromSeconds(9)));
        Assert.Contains("as fast as", convergence.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_doubt_means_everything_again_and_a_third_one_the_end()
    {
        Convergence convergence = After(s_limits, 2048 * MiB);
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(2048 * MiB, true, TimeSpan.FromSeconds(1)));
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(2048 * MiB, true, TimeSpan.FromSeconds(2)));
        Assert.Equal(ConvergenceStep.GiveUp, convergence.Judge(2048 * MiB, true, TimeSpan.FromSeconds(3)));
    }

    [Fact]
    public void A_doubt_is_not_held_against_the_pass_that_follows()
    {
        Convergence convergence = After(s_limits, 2048 * MiB, 100 * MiB);
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(2048 * MiB, true, TimeSpan.FromSeconds(3)));
        Assert.Equal(ConvergenceStep.Copy, convergence.Judge(120 * MiB, false, TimeSpan.FromSeconds(4)));
    }

    [Fact]
    public void Time_and_passes_end_it()
    {
        Assert.Equal(ConvergenceStep.Hold, After(s_limits, 2048 * MiB, 1000 * MiB).Judge(60 * MiB, false, TimeSpan.FromHours(1)));
        Assert.Equal(ConvergenceStep.GiveUp, After(s_limits, 2048 * MiB, 1000 * MiB).Judge(600 * MiB, false, TimeSpan.FromHours(1)));
        Convergence passes = After(s_limits with { Passes = 3 }, 4000 * MiB, 2000 * MiB, 1000 * MiB);
        Assert.Equal(ConvergenceStep.GiveUp, passes.Judge(500 * MiB, false, TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public void Writers_are_not_held_in_vain_for_ever()
    {
        Convergence convergence = After(s_limits, 2048 * MiB);
        for (int hold = 0; hold < s_limits.Holds; hold++)
        {
            Assert.Equal(ConvergenceStep.Hold, convergence.Judge(MiB, false, TimeSpan.FromSeconds(1)));
            Assert.Equal(ConvergenceStep.Hold, convergence.Judge(MiB, false, TimeSpan.FromSeconds(1))); // to be ready costs nothing: others of a set may not be
            convergence.NoteHold();
        }

        Assert.Equal(ConvergenceStep.GiveUp, convergence.Judge(MiB, false, TimeSpan.FromSeconds(1)));
    }

    /// <summary>
    /// Blocks have versions. A write changes one when it is submitted or when it lands, at a moment of chance in between, and marks at both ends; the copier
    /// harvests and reads block by block while writers go on. At the hold all that is in flight lands. The copy must be the volume then.
    /// </summary>
    [Fact]
    public void A_copy_that_ends_is_the_volume_at_the_hold()
    {
        Random seeds = TestSeed.NewRandom();
        int held = 0;
        for (int round = 0; round < Rounds; round++)
        {
            int seed = seeds.Next();
            ModelVolume volume = new(new Random(seed));
            if (volume.CopyInPasses() is { } copy)
            {
                held++;
                Assert.True(volume.Versions.AsSpan().SequenceEqual(copy), $"the copy of seed {seed} differs from the volume");
            }
        }

        Assert.True(held > Rounds / 4, $"only {held} of {Rounds} copies came to an end");
        Assert.True(held < Rounds, "no volume was written faster than it was read: the rounds have not shown that this ends too");
    }

    private static Convergence After(ConvergenceLimits limits, params long[] left)
    {
        Convergence convergence = new(limits);
        for (int pass = 0; pass < left.Length; pass++)
        {
            Assert.Equal(ConvergenceStep.Copy, convergence.Judge(left[pass], false, TimeSpan.FromSeconds(pass)));
        }

        return convergence;
    }

    private sealed class ModelVolume
    {
        private const int Blocks = 2000;

        private readonly Random _random;
        private readonly BlockBitmap _marks = new(Blocks);
        private readonly List<(int Block, int Version)> _inFlight = [];
        private readonly double _writesPerRead;
        private readonly int _hot;
        private int _version;

        public ModelVolume(Random random)
        {
            _random = random;
            _writesPerRead = random.Next(4) == 0 ? random.NextDouble() * 4 : random.NextDouble() / 2;
            _hot = random.Next(1, Blocks);
        }

        public int[] Versions { get; } = new int[Blocks];

        public int[]? CopyInPasses()
        {
            ConvergenceLimits limits = new() { LittleBytes = 8, HeldBytes = Blocks / 10, Passes = 12, Time = TimeSpan.FromDays(1) };
            Convergence convergence = new(limits);
            int[] copy = new int[Blocks];
            BlockBitmap left = new(Blocks);
            left.SetRange(0, Blocks);
            while (true)
            {
                bool isDoubtful = convergence.Passes > 0 && _random.Next(40) == 0;
                Harvest(left, isDoubtful);
                ConvergenceStep step = convergence.Judge(left.CountSet(), isDoubtful, TimeSpan.Zero);
                if (step == ConvergenceStep.GiveUp)
                {
                    return null;
                }

                if (step == ConvergenceStep.Copy)
                {
                    Copy(left, copy, isHeld: false);
                    continue;
                }

                while (_inFlight.Count > 0)
                {
                    Land();
                }

                Harvest(left, isDoubtful: false);
                if (left.CountSet() <= limits.HeldBytes)
                {
                    Copy(left, copy, isHeld: true);
                    return copy;
                }
            }
        }

        private void Harvest(BlockBitmap left, bool isDoubtful)
        {
            foreach ((long first, long count) in _marks.SetRuns())
            {
                left.SetRange(first, count);
            }

            _marks.ClearRange(0, Blocks);
            if (isDoubtful)
            {
                left.SetRange(0, Blocks);
            }
        }

        private void Copy(BlockBitmap left, int[] copy, bool isHeld)
        {
            for (long block = left.NextSet(0); block >= 0; block = left.NextSet(block))
            {
                copy[block] = Versions[block];
                left.Clear(block);
                for (double writes = isHeld ? 0 : _writesPerRead; writes > _random.NextDouble(); writes--)
                {
                    Live();
                }
            }
        }

        private void Live()
        {
            int what = _random.Next(3);
            if (what == 0 || _inFlight.Count == 0)
            {
                int block = _random.Next(_hot);
                _marks.Set(block); // submitted
                _inFlight.Add((block, ++_version));
            }
            else if (what == 1)
            {
                (int block, int version) = _inFlight[_random.Next(_inFlight.Count)];
                Versions[block] = version; // on the medium, and nobody has been told
            }
            else
            {
                Land();
            }
        }

        private void Land()
        {
            int place = _random.Next(_inFlight.Count);
            (int block, int version) = _inFlight[place];
            _inFlight.RemoveAt(place);
            Versions[block] = version;
            _marks.Set(block); // landed
        }
    }
}

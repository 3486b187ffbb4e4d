using Quench.Interop.Bpf;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.Tests.Snapshots.Tracked;

/// <summary>
/// The two copies of a tracker's program in the running kernel, called in the orders that interrupts make. They are given addresses where no request is: work shows as a request that could not be read.
/// </summary>
public sealed class TrackerTurnTests
{
    private const long MiB = 1 << 20;
    private const int Processor = 0;

    [Fact]
    public void What_the_first_copy_has_taken_the_second_leaves_alone()
    {
        using Copies copies = new();
        Assert.Equal((1, 0), copies.Run(TrackerTurn.First, 1));
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 1));
        Assert.Equal((1, 0), copies.Run(TrackerTurn.First, 1)); // the same request again, as a part of it lands
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 1));
    }

    [Fact]
    public void What_the_first_copy_was_left_out_of_the_second_makes_up_for()
    {
        using Copies copies = new();
        Assert.Equal((1, 1), copies.Run(TrackerTurn.Second, 1));

        _ = copies.Run(TrackerTurn.First, 1);                    // while it runs, an interrupt:
        Assert.Equal((1, 1), copies.Run(TrackerTurn.Second, 2)); // the first is left out of it
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 1)); // and after it, all goes on
    }

    [Fact]
    public void An_interrupt_between_the_two_costs_nothing()
    {
        using Copies copies = new();
        _ = copies.Run(TrackerTurn.First, 1);
        _ = copies.Run(TrackerTurn.First, 2);
        _ = copies.Run(TrackerTurn.First, 3);
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 3));
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 2));
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 1));
    }

    [Fact]
    public void A_second_copy_that_is_left_out_leaves_a_note_behind_that_harms_nobody()
    {
        using Copies copies = new();
        _ = copies.Run(TrackerTurn.First, 9); // in an interrupt of the second, which was left out of it
        for (ulong request = 1; request < 100; request++)
        {
            Assert.Equal((1, 0), copies.Run(TrackerTurn.First, request == 9 ? 8 : request));
            Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, request == 9 ? 8 : request));
        }
    }

    [Fact]
    public void Notes_that_nobody_struck_out_are_a_loss_when_there_is_no_room_left()
    {
        using Copies copies = new();
        for (ulong request = 1; request <= TrackerLocal.Taken; request++)
        {
            Assert.Equal((1, 0), copies.Run(TrackerTurn.First, request));
        }

        Assert.Equal((2, 0), copies.Run(TrackerTurn.First, 100));
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 100));
        Assert.Equal((1, 0), copies.Run(TrackerTurn.First, 101)); // there is room again
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 101));
    }

    [Fact]
    public void Submissions_and_completions_do_not_mix()
    {
        using Copies copies = new();
        _ = copies.Run(TrackerTurn.First, 1);
        Assert.Equal((1, 1), copies.Run(TrackerTurn.Second, 1, isSubmission: true));
        Assert.Equal((0, 0), copies.Run(TrackerTurn.Second, 1));
    }

    private sealed class Copies : IDisposable
    {
        private readonly TrackerMaps _maps;
        private readonly List<BpfProgram> _programs = [];

        public Copies()
        {
            TrackerTarget target = new(7, 1000, 0, 64 * MiB, 4096);
            RequestLayout layout = RequestLayout.OfThisKernel();
            _maps = TrackerMaps.ForStanding(target);
            foreach (TrackerTurn turn in Enum.GetValues<TrackerTurn>())
            {
                _programs.Add(BpfProgram.Load("quench_test", TrackerProgram.ForCompletion(layout, target, _maps, turn)));
                _programs.Add(BpfProgram.Load("quench_test", TrackerProgram.ForSubmission(layout, target, _maps, turn)));
            }
        }

        /// <summary>Runs one.</summary>
        /// <returns>How often it failed to work, or lost its place; how often it stood in.</returns>
        public (int Lost, int Rescued) Run(TrackerTurn turn, ulong request, bool isSubmission = false)
        {
            (ulong lost, ulong rescued) = (_maps[TrackerWord.Lost], _maps[TrackerWord.Rescued]);
            _programs[((int)turn * 2) + (isSubmission ? 1 : 0)].RunOnce(Processor, [request, request, request, request]);
            return ((int)(_maps[TrackerWord.Lost] - lost), (int)(_maps[TrackerWord.Rescued] - rescued));
        }

        public void Dispose()
        {
            _programs.ForEach(program => program.Dispose());
            _maps.Dispose();
        }
    }
}

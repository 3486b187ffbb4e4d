using System.Globalization;
using Quench.Snapshots.Providers.Filter.Supervision;
using Xunit;
using Xunit.Sdk;

namespace Quench.Tests.Snapshots.Filter.Supervision;

/// <summary>
/// The supervisor's decisions against a world of processes that die and hang at random: never two at the volume, never nobody for long, no healthy
/// worker killed. QUENCH_SCHEDULES says how many schedules.
/// </summary>
public sealed class SupervisorCoreTests
{
    private const int StepsInSecond = 20;

    private static readonly SupervisorPace s_pace = new();
    private static readonly SupervisorPace s_shortCalm = new() { LongestCalm = TimeSpan.FromMinutes(4) };

    [Fact]
    public void However_workers_die_and_hang_one_serves_and_never_two()
    {
        Random random = TestSeed.NewRandom();
        int schedules = int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SCHEDULES"), CultureInfo.InvariantCulture, out int asked) ? asked : 400;
        for (int schedule = 0; schedule < schedules; schedule++)
        {
            SupervisorWorld world = new(random, s_shortCalm);
            Run(world, 60);
            world.IsRough = false;
            if (world.GaveUp)
            {
                continue; // three in a row died before anybody had served: then nothing is attached
            }

            Run(world, 75); // a worker may just have been started, hung, and be in waiting for its limit of a minute
            RunUntilServed(world); // it may just be changing hands
            Run(world, 10 * 60);
            Assert.Equal(WorkerMode.Full, world.ServedMode);
            world.Detach(isInUse: true);
            Run(world, 1);
            Assert.True(world.SomebodyServes);
            world.Detach(isInUse: false);
            Run(world, 5);
            Assert.True(world.Finished);
        }
    }

    [Fact]
    public void A_shell_that_takes_a_kill_for_an_end_is_caught()
    {
        Random random = TestSeed.NewRandom();
        Assert.Throws<TrueException>(() =>
        {
            for (int schedule = 0; schedule < 200; schedule++)
            {
                Run(new SupervisorWorld(random, s_pace, ShellLie.KillIsAnEnd), 60);
            }
        });
    }

    [Fact]
    public void The_standby_takes_over_in_the_moment_of_a_death()
    {
        SupervisorCore core = Served(out int active);
        core.Exited(active, 9, 0, TimeSpan.FromSeconds(10));

        Assert.Equal(new SupervisorAction(ActionKind.Go, 1 - active, WorkerMode.Full, true), Assert.Single(Taken(core)));
        Assert.Equal(new Change(ChangeReason.Signal, 9), core.LastChange);
    }

    [Fact]
    public void A_worker_that_hangs_is_killed_and_followed_by_pass_through_only_when_it_is_gone()
    {
        SupervisorCore core = Served(out int active);
        core.Stuck(active, ChangeReason.RequestStuck);
        core.Stuck(active, ChangeReason.RequestStuck);
        Assert.Equal(ActionKind.Kill, Assert.Single(Taken(core)).Kind);
        core.Ticked(TimeSpan.FromSeconds(11));
        Assert.Empty(Taken(core));

        core.Exited(active, 9, 0, TimeSpan.FromSeconds(12));

        Assert.Equal(new SupervisorAction(ActionKind.Go, 1 - active, WorkerMode.PassThrough, true), Assert.Single(Taken(core)));
        Assert.Equal((1, 1), (core.Restarts, core.Hangs));
    }

    [Fact]
    public void A_worker_that_can_not_end_is_left_behind_and_full_service_waits_until_it_has_ended()
    {
        SupervisorCore core = Served(out int active);
        core.LeftBehind(active, isAlone: false, TimeSpan.FromSeconds(10));
        Assert.Equal(new SupervisorAction(ActionKind.Go, 1 - active, WorkerMode.PassThrough, true), Assert.Single(Taken(core)));
        Assert.Equal((1, 0, ChangeReason.CannotEnd), (core.Restarts, core.Hangs, core.LastChange.Reason));
        core.Served(1 - active, TimeSpan.FromSeconds(10));
        core.Ticked(TimeSpan.FromSeconds(11));
        core.Readied(active, TimeSpan.FromSeconds(12));
        Taken(core);

        core.Ticked(TimeSpan.FromSeconds(600));
        core.UpgradeAsked(TimeSpan.FromSeconds(600));
        Assert.Equal(ActionKind.RefuseUpgrade, Assert.Single(Taken(core)).Kind);

        core.EndedBehind();
        core.Ticked(TimeSpan.FromSeconds(601));
        Assert.Equal(ActionKind.Drain, Assert.Single(Taken(core)).Kind);
    }

    [Fact]
    public void A_worker_that_can_not_end_and_shares_nothing_is_followed_by_full_service()
    {
        SupervisorCore core = Served(out int active);
        core.LeftBehind(active, isAlone: true, TimeSpan.FromSeconds(10));

        Assert.Equal(new SupervisorAction(ActionKind.Go, 1 - active, WorkerMode.Full, true), Assert.Single(Taken(core)));
        Assert.Equal(new Change(ChangeReason.Signal, 9), core.LastChange);
    }

    [Fact]
    public void Pass_through_ends_by_itself_after_a_calm_minute_and_the_next_one_lasts_two()
    {
        SupervisorWorld world = Hung();
        Run(world, 55);
        Assert.Equal(WorkerMode.PassThrough, world.ServedMode);
        Run(world, 12);
        Assert.Equal(WorkerMode.Full, world.ServedMode);

        world.HangServing();
        Run(world, 110);
        Assert.Equal(WorkerMode.PassThrough, world.ServedMode);
        Run(world, 20);
        Assert.Equal(WorkerMode.Full, world.ServedMode);
    }

    [Fact]
    public void An_upgrade_starts_a_new_worker_before_the_old_one_is_asked_to_end()
    {
        SupervisorCore core = Served(out int active);
        TimeSpan now = TimeSpan.FromSeconds(10);
        core.UpgradeAsked(now);
        Assert.Equal(new SupervisorAction(ActionKind.Kill, 1 - active), Assert.Single(Taken(core))); // it may be of yesterday's program
        core.Exited(1 - active, 9, 0, now);
        Assert.Equal(new SupervisorAction(ActionKind.Spawn, 1 - active), Assert.Single(Taken(core)));
        core.Readied(1 - active, now);
        Assert.Equal(new SupervisorAction(ActionKind.Drain, active), Assert.Single(Taken(core)));
        core.Exited(active, 0, 0, now);
        Assert.Equal(ActionKind.Go, Taken(core)[0].Kind);
        Assert.Equal((0, 1, ChangeReason.Upgrade), (core.Restarts, core.Upgrades, core.LastChange.Reason));
    }

    [Fact]
    public void An_upgrade_whose_worker_does_not_start_leaves_the_old_one_alone()
    {
        SupervisorCore core = Served(out int active);
        TimeSpan now = TimeSpan.FromSeconds(10);
        core.UpgradeAsked(now);
        core.Exited(1 - active, 9, 0, now);
        Taken(core);
        core.Exited(1 - active, 0, 3, now);

        Assert.Equal(new SupervisorAction(ActionKind.RefuseUpgrade, active), Assert.Single(Taken(core)));
        Assert.Equal(active, core.Active);
        Assert.Equal(1, core.RefusedUpgrades);
    }

    [Fact]
    public void Workers_that_die_at_once_again_and_again_lead_to_pass_through_and_to_pauses_that_grow()
    {
        SupervisorWorld world = new(new Random(1), s_pace) { IsRough = false };
        Run(world, 2);
        world.WorkersCrash = true;
        world.EndServing(0, 134);
        Run(world, 30);
        Assert.Equal(WorkerMode.PassThrough, world.Core.Mode);
        int before = world.Core.Restarts;
        Run(world, 60);
        Assert.InRange(world.Core.Restarts - before, 8, 16); // one in five seconds or so

        world.WorkersCrash = false;
        Run(world, 10);
        Assert.True(world.SomebodyServes);
    }

    [Fact]
    public void Without_a_supervisors_safety_the_first_death_is_the_last()
    {
        SupervisorCore core = new(s_pace, isSupervised: false);
        core.Ticked(TimeSpan.Zero);
        core.Readied(0, TimeSpan.Zero);
        core.Served(0, TimeSpan.Zero);
        core.Ticked(TimeSpan.FromSeconds(1));
        Assert.Equal([ActionKind.Spawn, ActionKind.Go], Taken(core).Select(action => action.Kind));

        core.Stuck(0, ChangeReason.Silent);
        Assert.Empty(Taken(core));
        core.Exited(0, 9, 0, TimeSpan.FromSeconds(2));
        Assert.Equal(ActionKind.GiveUp, Assert.Single(Taken(core)).Kind);
    }

    [Fact]
    public void Nothing_is_allocated_for_what_happens()
    {
        SupervisorCore core = Served(out int active);
        Once(core, ref active);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Once(core, ref active);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static void Once(SupervisorCore core, ref int active)
    {
        TimeSpan now = TimeSpan.FromSeconds(10);
        core.Exited(active, 9, 0, now);
        active = core.Active;
        core.Served(active, now);
        core.Ticked(now);
        core.Readied(1 - active, now);
        while (core.TryTake(out _))
        {
            // A holder would do it.
        }
    }

    private static void RunUntilServed(SupervisorWorld world)
    {
        for (int second = 0; second < 2 && !world.SomebodyServes; second++)
        {
            Run(world, 1);
        }

        Assert.True(world.SomebodyServes, string.Join('\n', world.Story.TakeLast(40)));
    }

    private static void Run(SupervisorWorld world, int seconds)
    {
        for (int step = 0; step < seconds * StepsInSecond; step++)
        {
            world.Step();
        }
    }

    private static SupervisorWorld Hung()
    {
        SupervisorWorld world = new(new Random(1), s_pace) { IsRough = false };
        Run(world, 5);
        world.HangServing();
        return world;
    }

    /// <summary>A core with a worker that serves and one in waiting.</summary>
    private static SupervisorCore Served(out int active)
    {
        SupervisorCore core = new(s_pace, isSupervised: true);
        core.Ticked(TimeSpan.Zero);
        core.Readied(0, TimeSpan.Zero);
        core.Served(0, TimeSpan.Zero);
        core.Ticked(TimeSpan.FromSeconds(1));
        core.Readied(1, TimeSpan.FromSeconds(2));
        Taken(core);
        active = core.Active;
        return core;
    }

    private static List<SupervisorAction> Taken(SupervisorCore core)
    {
        List<SupervisorAction> actions = [];
        while (core.TryTake(out SupervisorAction action))
        {
            actions.Add(action);
        }

        return actions;
    }
}

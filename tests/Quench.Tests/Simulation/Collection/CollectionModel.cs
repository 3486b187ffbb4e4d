namespace Quench.Tests.Simulation.Collection;

/// <summary>
/// The protocol of docs/vault-format.md, "Garbage collection", with one chunk: sessions that add a point which needs it, collectors that delete and
/// repack, and a user who forgets points. From every state every step of everybody is tried; whoever is never chosen again has been killed, or sleeps.
/// </summary>
/// <remarks>
/// It must hold in every state: if a committed point is not forgotten, some pack is there that holds the chunk, and an index object that names the pack.
/// </remarks>
internal sealed class CollectionModel(int sessions, int collectors, int generations, bool repacking, ModelMutation mutation)
{
    private static readonly string[] s_usual = ["register", "read condemned", "read index", "put pack", "put index", "commit"];
    private static readonly string[] s_late = ["read condemned", "read index", "put pack", "put index", "register", "commit"];

    private readonly string[] _steps = mutation == ModelMutation.RegisterLate ? s_late : s_usual;

    /// <summary>What can be done in a state: told of each next state, with what was done by whom.</summary>
    internal delegate void Visit(in ModelState next, string what, int who);

    /// <summary>A pack with much garbage and a second one that holds the same chunk, in one index object; one point.</summary>
    internal static ModelState Start
    {
        get
        {
            ModelState start = default;
            start.Packs = 0b11;
            start.Shared = 1;
            start.NextPack = 2;
            start.Points = 1;
            return start;
        }
    }

    /// <summary>Whether nothing that a point needs is lost.</summary>
    internal static bool IsSound(ModelState state) => state.Points == 0 || state.Readable != 0;

    /// <summary>Tells all next states.</summary>
    internal void Expand(in ModelState state, Visit visit)
    {
        for (int i = 0; i < sessions; i++)
        {
            StepSession(state, i, visit);
        }

        for (int point = 0; point < 2; point++) // the old point and the first session's; the second session's stays
        {
            ModelState next = state;
            if ((next.Points & (1 << point)) != 0)
            {
                next.Points = (byte)(next.Points & ~(1 << point));
                visit(next, "forget", point);
            }
        }

        for (int j = 0; j < collectors; j++)
        {
            StepCollector(state, j, visit);
        }
    }

    private void StepSession(in ModelState state, int i, Visit visit)
    {
        ModelState next = state;
        SessionCells session = next.Session(i);
        if (session.Step >= _steps.Length)
        {
            return;
        }

        string step = _steps[session.Step++];
        switch (step)
        {
            case "register":
                session.Flags |= 1;
                break;
            case "read condemned":
                session.Condemned = CondemnedNow(ref next);
                break;
            case "read index":
                session.Flags |= (byte)(Usable(ref next, session.Condemned) == 0 ? 2 : 0);
                session.Condemned = 0;
                break;
            case "put pack" when (session.Flags & 2) != 0:
                byte pack = mutation == ModelMutation.ContentNames ? (byte)0 : next.NextPack++;
                next.Packs |= (byte)(1 << pack);
                session.KeyAndPack |= (byte)((pack + 1) << 2);
                break;
            case "put index" when session.KeyAndPack >> 2 is > 0 and int put:
                next.Indexed |= (byte)(1 << (put - 1));
                session.KeyAndPack &= 3;
                break;
            case "commit" when session.Key == Key.Revoked && mutation != ModelMutation.NoFence:
                session.Flags = 1;
                step = "find itself revoked";
                break;
            case "commit":
                session.KeyAndPack = (byte)Key.Committed;
                session.Flags = 1;
                next.Points |= (byte)(2 << i);
                break;
        }

        visit(next, step, i);
    }

    private byte CondemnedNow(ref ModelState state)
    {
        byte condemned = 0;
        for (int n = 0; n < generations; n++)
        {
            GenerationCells generation = state.Generation(n);
            bool counts = mutation == ModelMutation.OpenGenerationIgnored ? generation.Has(GenerationCells.Done) : !generation.Has(GenerationCells.Done);
            condemned |= generation.Has(GenerationCells.HasCondemned) && counts ? generation.Condemned : (byte)0;
        }

        return condemned;
    }

    private int Usable(ref ModelState state, byte condemned) => mutation switch
    {
        ModelMutation.StaleCache => 0b11 & ~condemned,
        ModelMutation.ContentNames => state.Packs & ~condemned,
        ModelMutation.UnnamedPackTrusted => (state.Readable & ~condemned) | (state.Packs & ~state.Named),
        _ => state.Readable & ~condemned,
    };

    private void StepCollector(in ModelState state, int j, Visit visit)
    {
        ModelState next = state;
        CollectorCells me = next.Collector(j);
        switch ((At)me.At)
        {
            case At.Begin:
                Begin(ref next, ref me, j, visit);
                break;
            case At.Mark:
                Mark(state, j, visit);
                break;
            case At.Copy:
                Copy(ref next, me, At.IndexCopy);
                Tell(visit, ref next, "put a copy", j);
                break;
            case At.IndexCopy:
                IndexCopy(ref next, me);
                Tell(visit, ref next, "index the copy", j);
                break;
            case At.Condemn:
                Condemn(ref next, me);
                Tell(visit, ref next, "condemn", j);
                break;
            case At.ListSessions:
                for (int i = 0; i < sessions; i++)
                {
                    me.Sessions |= (byte)((next.Session(i).Flags & 1) << i);
                }

                me.At = (byte)At.Revoke;
                Tell(visit, ref next, "list sessions", j);
                break;
            case At.Revoke:
                Revoke(state, j, visit);
                break;
            case At.MarkAgain:
                me.Sweep = SweepOf(ref next, me);
                me.Candidates = 0;
                me.At = (byte)At.PublishSweep;
                Tell(visit, ref next, "mark again", j);
                break;
            case At.PublishSweep:
                PublishSweep(ref next, me);
                Tell(visit, ref next, "publish sweep", j);
                break;
            case At.TidyFirst:
                Tidy(ref next, me, isSecond: false);
                Tell(visit, ref next, "replace index object", j);
                break;
            case At.TidySecond:
                Tidy(ref next, me, isSecond: true);
                Tell(visit, ref next, "delete index object", j);
                break;
            case At.Delete:
                Delete(ref next, me);
                Tell(visit, ref next, "delete a pack, or end", j);
                break;
            case At.LateCopy:
                Copy(ref next, me, At.Begin);
                next.Indexed |= (byte)(me.To > 0 ? 1 << (me.To - 1) : 0);
                End(ref next, me);
                Tell(visit, ref next, "put a late copy", j);
                break;
        }
    }

    private void Begin(ref ModelState next, ref CollectorCells me, int j, Visit visit)
    {
        int last = 0;
        while (last < generations && next.Generation(last).Flags != 0)
        {
            last++;
        }

        if (last > 0 && !next.Generation(last - 1).Has(GenerationCells.Done))
        {
            me.Generation = (byte)(last - 1);
            me.At = (byte)At.ListSessions;
            if (next.Generation(last - 1).Has(GenerationCells.HasSweep))
            {
                me.Sweep = next.Generation(last - 1).Sweep;
                me.At = (byte)At.TidyFirst;
            }

            Tell(visit, ref next, "take over", j);
        }
        else if (last < generations)
        {
            me.Generation = (byte)last;
            me.At = (byte)At.Mark;
            Tell(visit, ref next, "begin", j);
        }
    }

    private void Mark(in ModelState state, int j, Visit visit)
    {
        ModelState plain = state;
        int holder = plain.Points == 0 ? -1 : Lowest(plain.Readable);
        CollectorCells me = plain.Collector(j);
        me.Candidates = (byte)(plain.Packs & ~(holder < 0 ? 0 : 1 << holder));
        me.At = (byte)(me.Candidates == 0 ? At.Begin : At.Condemn);
        me.Generation = me.Candidates == 0 ? (byte)0 : me.Generation;
        Tell(visit, ref plain, "mark", j);
        if (!repacking || holder < 0 || state.NextPack >= 8)
        {
            return;
        }

        ModelState copying = state;
        me = copying.Collector(j);
        me.Candidates = (byte)(copying.Packs & ~(1 << holder));
        me.From = (byte)(holder + 1);
        me.At = (byte)At.Copy;
        if (mutation == ModelMutation.CondemnBeforeCopy)
        {
            me.Candidates |= (byte)(1 << holder);
            me.At = (byte)At.Condemn;
        }

        Tell(visit, ref copying, "mark, with a pack to repack", j);
    }

    private static void Copy(ref ModelState next, CollectorCells me, At then)
    {
        if (me.From > 0 && (next.Packs & (1 << (me.From - 1))) != 0 && next.NextPack < 8)
        {
            next.Packs |= (byte)(1 << next.NextPack);
            me.To = (byte)(next.NextPack + 1);
            next.NextPack++;
        }

        me.At = (byte)then;
    }

    private static void IndexCopy(ref ModelState next, CollectorCells me)
    {
        if (me.To > 0)
        {
            next.Indexed |= (byte)(1 << (me.To - 1));
            me.Candidates |= (byte)(1 << (me.From - 1));
        }

        me.From = 0;
        me.To = 0;
        me.At = (byte)(me.Candidates == 0 ? At.Begin : At.Condemn);
        me.Generation = me.Candidates == 0 ? (byte)0 : me.Generation;
    }

    private void Condemn(ref ModelState next, CollectorCells me)
    {
        GenerationCells generation = next.Generation(me.Generation);
        if (!generation.Has(GenerationCells.HasCondemned))
        {
            generation.Flags |= GenerationCells.HasCondemned;
            generation.Condemned = me.Candidates;
        }

        if (mutation != ModelMutation.OwnListsCount)
        {
            me.Candidates = 0;
        }

        me.At = (byte)At.ListSessions;
        if (generation.Has(GenerationCells.Done))
        {
            End(ref next, me);
        }
    }

    private void Revoke(in ModelState state, int j, Visit visit)
    {
        bool all = true;
        for (int i = 0; i < sessions; i++)
        {
            ModelState next = state;
            if ((next.Collector(j).Sessions >> i & 1) != 0 && next.Session(i).Key == Key.None && mutation != ModelMutation.NoWait)
            {
                all = false;
                next.Session(i).KeyAndPack |= (byte)Key.Revoked;
                Tell(visit, ref next, "revoke a session", j);
            }
        }

        if (all)
        {
            ModelState next = state;
            next.Collector(j).Sessions = 0;
            next.Collector(j).At = (byte)At.MarkAgain;
            Tell(visit, ref next, "find all sessions resolved", j);
        }
    }

    /// <summary>The condemned packs less the one that a point needs after all.</summary>
    private byte SweepOf(ref ModelState state, CollectorCells me)
    {
        byte condemned = mutation == ModelMutation.OwnListsCount && me.Candidates != 0 ? me.Candidates : state.Generation(me.Generation).Condemned;
        if (state.Points == 0 || mutation == ModelMutation.NoRelist || (state.Readable & ~condemned) != 0
            || (mutation == ModelMutation.CondemnBeforeCopy && me.From > 0))
        {
            return condemned;
        }

        int holder = Lowest(state.Readable);
        return (byte)(condemned & ~(holder < 0 ? 0 : 1 << holder));
    }

    private void PublishSweep(ref ModelState next, CollectorCells me)
    {
        GenerationCells generation = next.Generation(me.Generation);
        if (!generation.Has(GenerationCells.HasSweep))
        {
            generation.Flags |= GenerationCells.HasSweep;
            generation.Sweep = me.Sweep;
        }
        else if (mutation != ModelMutation.OwnListsCount)
        {
            me.Sweep = generation.Sweep;
        }

        me.At = (byte)At.TidyFirst;
    }

    /// <summary>Two steps: the replacement is put, then the old index object is deleted.</summary>
    private void Tidy(ref ModelState next, CollectorCells me, bool isSecond)
    {
        bool shared = next.Shared != 0 && (me.Sweep & 0b11) != 0;
        if (shared && isSecond == (mutation == ModelMutation.IndexDeletedFirst))
        {
            next.Indexed |= (byte)(0b11 & ~me.Sweep);
        }
        else if (mutation == ModelMutation.IndexDeletedFirst && isSecond)
        {
            next.Indexed |= (byte)(0b11 & next.Packs & ~me.Sweep);
        }

        if (isSecond != (mutation == ModelMutation.IndexDeletedFirst))
        {
            next.Shared = shared ? (byte)0 : next.Shared;
            next.Indexed = (byte)(next.Indexed & ~me.Sweep);
        }

        me.At = (byte)(isSecond ? At.Delete : At.TidySecond);
    }

    private void Delete(ref ModelState next, CollectorCells me)
    {
        if (Lowest((byte)(me.Sweep & next.Packs)) is >= 0 and int pack)
        {
            next.Packs = (byte)(next.Packs & ~(1 << pack));
            return;
        }

        GenerationCells generation = next.Generation(me.Generation);
        generation.Flags |= GenerationCells.Done;
        if (mutation == ModelMutation.OldListsDeleted)
        {
            generation.Flags &= byte.MaxValue & ~GenerationCells.HasSweep;
            generation.Sweep = 0;
        }

        if (mutation == ModelMutation.CondemnBeforeCopy && me.From > 0)
        {
            me.At = (byte)At.LateCopy;
            return;
        }

        End(ref next, me);
    }

    /// <summary>Back to the beginning, with nothing remembered; or to rest, when there are no more generations.</summary>
    private void End(ref ModelState next, CollectorCells me)
    {
        bool more = me.Generation + 1 < generations || !next.Generation(generations - 1).Has(GenerationCells.Done);
        me.Cells.Clear();
        me.At = (byte)(more ? At.Begin : At.Stopped);
    }

    private void Tell(Visit visit, ref ModelState next, string what, int who)
    {
        next.Normalize(collectors);
        visit(next, what, who);
    }

    private static int Lowest(byte packs) => packs == 0 ? -1 : System.Numerics.BitOperations.TrailingZeroCount(packs);
}

namespace Quench.Vault.Index.Runs;

/// <summary>Merges runs.</summary>
internal static class RunMerge
{
    /// <summary>How many of the newest runs should become one: none while there are few, and never one much larger than all before it together.</summary>
    /// <param name="newestFirst">Records of each run.</param>
    /// <param name="most">So many runs may stay as they are.</param>
    /// <returns>0, or 2 and more.</returns>
    /// <remarks>A run is merged only with newer ones that are at least as large together, so each time a record is written again its run has doubled.</remarks>
    internal static int Choose(ReadOnlySpan<int> newestFirst, int most)
    {
        if (newestFirst.Length <= most)
        {
            return 0;
        }

        long sum = newestFirst[0];
        int count = 1;
        while (count < newestFirst.Length && (newestFirst[count] <= sum || newestFirst.Length - count >= most))
        {
            sum += newestFirst[count++];
        }

        return count;
    }

    /// <summary>The records of several runs in the order of their ids; of those with the same id, the newest run's.</summary>
    /// <exception cref="DamagedRunException">A page of one of them does not open.</exception>
    internal static IEnumerable<IndexRecord> Records(IReadOnlyList<RunFile> newestFirst)
    {
        List<(RunCursor Cursor, Guid Run)> open = [];
        try
        {
            open.AddRange(newestFirst.Select(run => (run.NewCursor(), run.Shape.Id)));
            List<(RunCursor Cursor, Guid Run)> live = [.. open];
            live.RemoveAll(IsAtEnd);
            while (live.Count > 0)
            {
                int least = Least(live);
                IndexRecord record = live[least].Cursor.Current;
                yield return record;
                bool ended = false;
                foreach ((RunCursor cursor, Guid run) in live)
                {
                    ended |= cursor.Current.Id == record.Id && IsAtEnd((cursor, run));
                }

                if (ended)
                {
                    live.RemoveAll(one => one.Cursor.IsAtEnd);
                }
            }
        }
        finally
        {
            open.ForEach(one => one.Cursor.Dispose());
        }
    }

    /// <summary>The cursor with the least id; the newest of those that have it.</summary>
    private static int Least(List<(RunCursor Cursor, Guid Run)> live)
    {
        int least = 0;
        for (int i = 1; i < live.Count; i++)
        {
            if (live[i].Cursor.Current.Id.CompareTo(live[least].Cursor.Current.Id) < 0)
            {
                least = i;
            }
        }

        return least;
    }

    private static bool IsAtEnd((RunCursor Cursor, Guid Run) one)
    {
        if (one.Cursor.TryNext())
        {
            return false;
        }

        return !one.Cursor.IsDamaged ? true : throw new DamagedRunException(one.Run, -1, null);
    }
}

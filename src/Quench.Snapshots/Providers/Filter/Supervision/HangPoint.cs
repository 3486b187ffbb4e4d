namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>Where tests make a worker hang. Debug builds only; in release builds it does not exist.</summary>
internal static class HangPoint
{
#if DEBUG
    /// <summary>Whether this build has one.</summary>
    internal const bool Exists = true;
#else
    /// <summary>Whether this build has one.</summary>
    internal const bool Exists = false;
#endif

    /// <summary>Never returns: whoever holds a lock while calling this has made a deadlock.</summary>
    internal static ControlReply Hang()
    {
        using ManualResetEventSlim never = new(initialState: false);
        never.Wait();
        return new ControlReply();
    }
}

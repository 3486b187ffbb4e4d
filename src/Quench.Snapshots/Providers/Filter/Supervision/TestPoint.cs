namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>Where tests make a worker hang, or forget what it must not forget. Debug builds only; in release builds nothing of it is left.</summary>
internal static class TestPoint
{
#if DEBUG
    /// <summary>Whether this build has test points.</summary>
    internal const bool Exists = true;

    /// <summary>Whether workers forget to have requests sent again: the tests must notice.</summary>
    internal static bool ForgetsResend => Environment.GetEnvironmentVariable("QUENCH_TEST_FORGET_RESEND") == "1";
#else
    /// <summary>Whether this build has test points.</summary>
    internal const bool Exists = false;

    /// <summary>Never.</summary>
    internal static bool ForgetsResend => false;
#endif

    /// <summary>Never returns: whoever holds a lock while calling this has made a deadlock.</summary>
    internal static ControlReply Hang()
    {
        using ManualResetEventSlim never = new(initialState: false);
        never.Wait();
        return new ControlReply();
    }
}

using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>
/// Takes what a watch hears, in its order: a session, then events and how far it has been watched, again and again. A log is written through it and read into it. For one thread.
/// </summary>
public interface IActivitySink
{
    /// <summary>A watch begins; all before it belongs to another one.</summary>
    void Begin(ActivitySession session);

    /// <summary>A write was heard.</summary>
    void Add(in WriteEvent heard);

    /// <summary>All that was written up to here has been added, but for what was lost.</summary>
    /// <param name="until">Not before the time of any event so far, as a rule.</param>
    /// <param name="losses">Since the session began.</param>
    void Watched(DateTimeOffset until, WriteLosses losses);
}

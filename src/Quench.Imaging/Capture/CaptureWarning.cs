namespace Quench.Imaging.Capture;

/// <summary>What did not keep a point from being made and must be known all the same.</summary>
/// <param name="Code">Stable, for scripts.</param>
/// <param name="Message">What happened to what.</param>
/// <param name="Next">What to do.</param>
public sealed record CaptureWarning(string Code, string Message, string Next)
{
    internal static CaptureWarning MapDistrusted(string volume, string why) => new(
        "IMG-131",
        $"the record of what changed on {volume} is wrong: {why}; nothing of it was used, everything was read",
        "find out who wrote to the volume without passing the filter, or report this; use --full-scan until it is known");

    internal static CaptureWarning NotRemembered(string volume, string point, Exception failure) => new(
        "IMG-132",
        $"point {point} of {volume} is in the vault, but its provider could not note that: {failure.Message}",
        "nothing has to be done: the next backup reads everything again; if this comes back, look at the disk that holds the record of changes");
}

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

    internal static CaptureWarning RuleMetNothing(string pattern) => new(
        "IMG-140",
        $"nothing was left out by \"{pattern}\": no file that has blocks of its own matches it",
        "patterns are from the root folder of the volume on, not of the machine, and upper and lower case differ; leave it out if there is nothing to match any more");

    internal static CaptureWarning NothingLeftOut(string where, string why) => new(
        "IMG-141",
        $"nothing was left out of {where}: {why}",
        "the point is whole, and larger than it was meant to be; nothing has to be done");

    internal static CaptureWarning KeptInDoubt(string where, long count, string first) => new(
        "IMG-142",
        $"{(count == 1 ? "one file or folder" : $"{count} files or folders")} on {where} that should be left out {(count == 1 ? "was" : "were")} kept; the first: {first}",
        "the point is larger than it was meant to be; quench show tells more of them");
}

using Quench.Blocks;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Vault;

namespace Quench.Imaging.Recovery.Components;

/// <summary>Why components can't be restored.</summary>
internal static class ComponentErrors
{
    private const string Untouched = "the application's files are untouched";
    private const int InUse = 11;

    public static QuenchException NoSuch(RecoveryPoint point, string wanted, IReadOnlyList<RestorableComponent> there) => there.Count == 0
        ? new QuenchException("RST-130", $"point {point.ShortId} holds no components: no application was asked when it was made", "restore a whole volume instead") { Effect = Untouched }
        : new QuenchException("RST-130", $"point {point.ShortId} holds no component {wanted}", $"name one of these: {Names(there)}") { Effect = Untouched };

    public static QuenchException Ambiguous(string wanted, IReadOnlyList<RestorableComponent> meant) =>
        new("RST-131", $"{wanted} may be {meant.Count} components", $"name one of these: {Names(meant)}") { Effect = Untouched };

    public static QuenchException NotWhole(RecoveryPoint point, RestorableComponent component) => new(
        "RST-132", $"not all files of {component.Name} are in point {point.ShortId}: it lay on volumes that were not taken",
        "choose a point of all of its volumes, or restore what there is as a whole volume") { Effect = Untouched };

    public static QuenchException NotSaid(RecoveryPoint point, RestorableComponent component, string folder) => new(
        "RST-132", $"point {point.ShortId} does not say where in its images {folder} of {component.Name} lies", "restore the whole volume instead") { Effect = Untouched };

    public static QuenchException Gone(RestorableComponent component, FolderPlace place) => new(
        "RST-132", $"{place.Folder} of {component.Name} is not in the image of {place.Volume}: there is no folder {place.Path} in it", "choose another point, or restore the whole volume") { Effect = Untouched };

    public static QuenchException NeedsFolder(RestorableComponent component) => new(
        "RST-133",
        $"the files of {component.Name} are not put back where they were, says its writer{(component.Component.RestoreNote.Length == 0 ? "" : $": {component.Component.RestoreNote}")}",
        "name a folder to put them below: --to FOLDER") { Effect = Untouched };

    public static QuenchException IsThere(RestoreFolder folder, bool inPlace) => new(
        "RST-134", $"{folder.ReplacedCount} files of the component are in {folder.Target.Path} already",
        inPlace ? "its writer wants them put back only where nothing is: move them away, or name a folder with --to" : "name a folder where nothing is") { Effect = Untouched };

    public static QuenchException Refused(WriterIdentity writer, WriterException failure) => new(
        "RST-135", $"{writer} does not make way for its files: {failure.Message}", "stop the application, or name a folder with --to", failure) { Effect = Untouched, ExitCode = InUse, CanRetry = true };

    public static QuenchException NotLookedFor(WriterException failure) => new(
        "RST-135", $"whether the application runs can't be found out: {failure.Message}", "see `quench writers list`, or name a folder with --to", failure) { Effect = Untouched, ExitCode = InUse };

    public static QuenchException Open(string process, string file) => new(
        "RST-135", $"{process} has {file} open", "stop it, or name a folder with --to") { Effect = Untouched, ExitCode = InUse, CanRetry = true };

    public static QuenchException NotCopied(string to, Exception failure) => new(
        "RST-138", $"the files could not be brought to {to}: {failure.Message}", "look at the room there and at the vault's health (quench verify), then run it again", failure) { Effect = Untouched };

    public static QuenchException NotSwapped(SwapException failure) => failure.Left.Count == 0
        ? new QuenchException("RST-139", $"the files could not take their places: {failure.Message}", "look at why that can't be renamed, then run it again", failure)
        {
            Effect = "all that had been done was taken back: the application's files are as they were",
        }
        : new QuenchException("RST-140", $"the files could not take their places: {failure.Message}", $"put these back by hand, then run it again: {Moves(failure.Left)}", failure)
        {
            Effect = "not all of it could be taken back: the application's files are a mixture",
        };

    public static QuenchException LeftBehind(IReadOnlyList<SwapStep> left) => new(
        "RST-140", "an earlier restore was ended in the middle, and not all of it can be taken back", $"put these back by hand, then run it again: {Moves(left)}")
    {
        Effect = "the application's files are a mixture",
    };

    public static QuenchException NoRoom(TargetFolder target, long needed) => new(
        "RST-141", $"there is no room beside {target.Path}: {ByteSize.Format(target.FreeBytes)} are free, and {ByteSize.Format(needed)} are needed, because what is there stays until all has arrived",
        "make room, or name another folder with --to") { Effect = Untouched };

    private static string Names(IReadOnlyList<RestorableComponent> components) => string.Join(
        ", ", components.Select(one => components.Count(other => other.Name == one.Name) > 1 ? $"{one.Writer.InstanceName}/{one.Component.Name}" : one.Name));

    private static string Moves(IReadOnlyList<SwapStep> steps) => string.Join("; ", steps.Select(step => step.Kept is { } kept ? $"{kept} to {step.Live}" : $"{step.Live} away"));
}

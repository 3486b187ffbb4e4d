using System.Globalization;
using Quench.Blocks;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;

namespace Quench.Cli.Output;

/// <summary>Prints each write as it is heard: time, process, what it does, bytes, place, file.</summary>
internal sealed class LiveWrites(TextWriter output, TimeZoneInfo zone) : IActivitySink
{
    private WriteLosses _told;

    /// <inheritdoc/>
    public void Begin(ActivitySession session) => output.WriteLine($"{"TIME",-15} {"PROCESS",-22} {"WHAT",-7} {"BYTES",9} {"PLACE",14}  FILE");

    /// <inheritdoc/>
    public void Add(in WriteEvent heard)
    {
        string time = TimeZoneInfo.ConvertTime(heard.At, zone).ToString("HH:mm:ss.ffffff", CultureInfo.InvariantCulture);
        string process = heard.Evidence == WriterEvidence.None ? "?" : string.Create(CultureInfo.InvariantCulture, $"{heard.Process.Name}[{heard.Process.Id}]");
        string file = heard.Kind == WriteKind.Write ? ActivityText.NameOf(heard.File) : "";
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{time} {process,-22} {ActivityJson.Name(heard.Kind),-7} {ByteSize.Format(heard.Length),9} {heard.Offset,14}  {file}").TrimEnd());
    }

    /// <inheritdoc/>
    public void Watched(DateTimeOffset until, WriteLosses losses)
    {
        if (losses.Events != _told.Events || losses.Missed != _told.Missed || losses.Unread != _told.Unread)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"… {losses.Events - _told.Events + losses.Missed - _told.Missed + losses.Unread - _told.Unread} writes are missing here: they came faster than they were taken"));
            _told = losses;
        }

        output.Flush();
    }
}

using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>What a backup says at its end. The JSON's first eight fields are a promise to scripts; more may follow them.</summary>
internal sealed record BackupSummary(CaptureResult Result, DateTimeOffset Ended, SnapshotTimes? Times)
{
    /// <summary>Writes it: one JSON line, or words for people and the point's id on standard output.</summary>
    public void Write(CliHost host, bool json)
    {
        if (json)
        {
            WriteJson(host.Output);
        }
        else
        {
            WriteWords(host);
        }
    }

    private void WriteJson(TextWriter output) => JsonLine.WriteMessage(output, "summary", writer =>
    {
        VolumeRecord volume = Result.Volume;
        writer.WriteString("point", Result.Point.Id.ToString("N"));
        writer.WriteString("grade", volume.Grade);
        writer.WriteString("provider", volume.Provider);
        if (volume.FreezeMilliseconds is { } freeze)
        {
            writer.WriteNumber("freeze_ms", Math.Round(freeze, 3));
        }
        else
        {
            writer.WriteNull("freeze_ms");
        }

        writer.WriteNumber("used_bytes", volume.UsedBytes);
        writer.WriteNumber("stored_bytes", Result.Totals.StoredBytes);
        writer.WriteNumber("new_bytes", Result.Totals.NewChunkBytes);
        writer.WriteString("volume", volume.Name);
        writer.WriteNumber("length", volume.Length);
        writer.WriteString("file_system", volume.FileSystem);
        writer.WriteString("instant", volume.Instant);
        writer.WriteNumber("seconds", Math.Round((Ended - volume.Instant).TotalSeconds, 3));
        writer.WriteNumber("diff_area_peak_bytes", volume.DiffAreaPeakBytes);
        writer.WriteString("proof", volume.Proof?.Hash);
        writer.WriteString("map_doubt", volume.MapDoubt);
        ScanText.WriteJson(writer, volume.Scan);
        TimesText.WriteJson(writer, Times);
        WriterRecordText.WriteJson(writer, Result.Point.Coordination);
        writer.WriteStartArray("warnings");
        foreach (CaptureWarning warning in Result.Warnings)
        {
            writer.WriteStringValue($"{warning.Code}: {warning.Message}");
        }

        writer.WriteEndArray();
    });

    private void WriteWords(CliHost host)
    {
        VolumeRecord volume = Result.Volume;
        string held = volume.FreezeMilliseconds is { } freeze
            ? string.Create(CultureInfo.InvariantCulture, $", writers held {freeze:0.0} ms")
            : "";
        host.Error.WriteLine($"imaged {volume.Name} ({volume.Source}): {volume.Grade} grade by the {volume.Provider} provider{held}");
        host.Error.WriteLine(
            $"  {ByteSize.Format(volume.UsedBytes)} in use, {ByteSize.Format(Result.Totals.NewChunkBytes)} new, "
            + $"{ByteSize.Format(Result.Totals.StoredBytes)} stored, in {ProgressText.Span(Ended - volume.Instant)}");
        if (volume.Scan is { } scan)
        {
            host.Error.WriteLine($"  {ScanText.Words(scan)}");
        }

        foreach (string line in TimesText.Words(Times))
        {
            host.Error.WriteLine($"  {line}");
        }

        foreach (string line in WriterRecordText.Words(Result.Point.Coordination))
        {
            host.Error.WriteLine($"  {line}");
        }

        if (volume.MapDoubt is { } doubt)
        {
            host.Error.WriteLine($"  all of the volume was imaged, because its map of used blocks is in doubt: {doubt}");
        }

        if (volume.Proof is { } proof)
        {
            host.Error.WriteLine($"  proved: image and instant have the same hash, {proof.Algorithm} {proof.Hash}");
        }

        foreach (CaptureWarning warning in Result.Warnings)
        {
            host.Error.WriteLine($"WARNING {warning.Code}: {warning.Message}");
            host.Error.WriteLine($"  {warning.Next}");
        }

        host.Output.WriteLine(Result.Point.ShortId);
    }
}

using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity.Writers;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>What a backup says at its end. The JSON's first eight fields are a promise to scripts; more may follow them.</summary>
internal sealed record BackupSummary(CaptureResult Result, DateTimeOffset Ended, SnapshotTimes? Times)
{
    /// <summary>Who wrote to the volume meanwhile; null when nobody asked.</summary>
    public ActivitySummary? WhoWrote { get; init; }

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
        writer.WriteString("grade", Result.Grade);
        writer.WriteString("provider", volume.Provider);
        if (volume.FreezeMilliseconds is { } freeze)
        {
            writer.WriteNumber("freeze_ms", Math.Round(freeze, 3));
        }
        else
        {
            writer.WriteNull("freeze_ms");
        }

        writer.WriteNumber("used_bytes", Result.Point.Volumes.Sum(one => one.UsedBytes));
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
        WritersText.WriteJson(writer, WhoWrote);
        WriterRecordText.WriteJson(writer, Result.Point.Coordination);
        PointJson.WriteVolumes(writer, Result.Point); // what the line says of one volume is of the first
        writer.WriteStartArray("warnings");
        foreach (CaptureWarning warning in Result.Warnings)
        {
            writer.WriteStringValue($"{warning.Code}: {warning.Message}");
        }

        writer.WriteEndArray();
    });

    private void WriteWords(CliHost host)
    {
        foreach (VolumeRecord volume in Result.Point.Volumes)
        {
            WriteWords(host.Error, volume);
        }

        if (Result.Point.Volumes.Count > 1)
        {
            host.Error.WriteLine($"{Result.Point.Volumes.Count} volumes, at one instant, in {ProgressText.Span(Ended - Result.Point.Instant)}");
        }

        foreach (string line in TimesText.Words(Times))
        {
            host.Error.WriteLine($"  {line}");
        }

        if (WhoWrote is { } writers)
        {
            host.Error.WriteLine($"  {WritersText.Words(writers)}");
        }

        foreach (string line in WriterRecordText.Words(Result.Point.Coordination))
        {
            host.Error.WriteLine($"  {line}");
        }

        foreach (CaptureWarning warning in Result.Warnings)
        {
            host.Error.WriteLine($"WARNING {warning.Code}: {warning.Message}");
            host.Error.WriteLine($"  {warning.Next}");
        }

        host.Output.WriteLine(Result.Point.ShortId);
    }

    private void WriteWords(TextWriter error, VolumeRecord volume)
    {
        string held = volume.FreezeMilliseconds is { } freeze
            ? string.Create(CultureInfo.InvariantCulture, $", writers held {freeze:0.0} ms")
            : "";
        error.WriteLine($"imaged {volume.Name} ({volume.Source}): {volume.Grade} grade by the {volume.Provider} provider{held}");
        error.WriteLine(
            $"  {ByteSize.Format(volume.UsedBytes)} in use, {ByteSize.Format(volume.NewBytes)} new, "
            + $"{ByteSize.Format(volume.StoredBytes)} stored, in {ProgressText.Span(Ended - volume.Instant)}");
        if (volume.Scan is { } scan)
        {
            error.WriteLine($"  {ScanText.Words(scan)}");
        }

        if (ExclusionText.Words(volume.Exclusions) is { } left)
        {
            error.WriteLine($"  {left}");
        }

        if (volume.MapDoubt is { } doubt)
        {
            error.WriteLine($"  all of the volume was imaged, because its map of used blocks is in doubt: {doubt}");
        }

        WritePartitions(error, volume.Disk);
        if (volume.Proof is { } proof)
        {
            error.WriteLine($"  proved: image and instant have the same hash, {proof.Algorithm} {proof.Hash}");
        }
    }

    /// <summary>What the sum of a disk hides: partitions imaged whole, and those that went on while others were frozen.</summary>
    private static void WritePartitions(TextWriter error, DiskRecord? disk)
    {
        foreach (PartitionRecord partition in disk?.Partitions ?? [])
        {
            if (partition.MapDoubt is { } doubt)
            {
                error.WriteLine($"  all of partition {partition.Number} was imaged, because its map of used blocks is in doubt: {doubt}");
            }

            if (partition.Condition == "running")
            {
                error.WriteLine($"  partition {partition.Number} ({partition.FileSystem}) may have been written and was not frozen: it is as after a power cut");
            }
        }
    }
}

using System.Text.Json;
using Quench.Blocks;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>How a volume was read, for people and for scripts.</summary>
internal static class ScanText
{
    /// <summary>Two or three clauses on one line.</summary>
    public static string Words(ScanRecord scan) => scan.Kind switch
    {
        ScanRecord.Changes => $"read {ByteSize.Format(scan.ReadBytes)}: what changed since point {scan.Base?.ToString("N")[..8]}{Doubt(scan)}; {Sample(scan)}",
        ScanRecord.FullAfterDoubt => $"read {ByteSize.Format(scan.ReadBytes)}: everything in use, because the record of changes is wrong: {scan.MapDistrusted}",
        _ => $"read {ByteSize.Format(scan.ReadBytes)}: everything in use{(scan.Reason is { } reason ? $", because {reason}" : "")}",
    };

    /// <summary>Writes the fields into an object that has been begun; all are null for a point that does not say.</summary>
    public static void WriteJson(Utf8JsonWriter writer, ScanRecord? scan)
    {
        writer.WriteString("scan", scan?.Kind);
        writer.WriteString("scan_reason", scan?.Reason);
        writer.WriteString("base_point", scan?.Base?.ToString("N"));
        Number("read_bytes", scan?.ReadBytes);
        Number("changed_bytes", scan?.ChangedBytes);
        Number("doubtful_bytes", scan?.DoubtfulBytes);
        Number("doubtful_chunks", scan?.DoubtfulChunks);
        Number("doubtful_chunks_differing", scan?.DoubtfulChunksDiffering);
        Number("sampled_chunks", scan?.SampledChunks);
        Number("new_pages", scan?.NewPages);
        writer.WriteString("map_distrusted", scan?.MapDistrusted);

        void Number(string name, long? value)
        {
            if (value is { } number)
            {
                writer.WriteNumber(name, number);
            }
            else
            {
                writer.WriteNull(name);
            }
        }
    }

    private static string Doubt(ScanRecord scan) => scan is { Reason: { } reason, DoubtfulBytes: 0 } ? $" ({reason})"
        : scan.Reason is { } why
        ? $" and {ByteSize.Format(scan.DoubtfulBytes)} in doubt ({why}; {scan.DoubtfulChunksDiffering} of {scan.DoubtfulChunks} doubtful chunks were different)"
        : "";

    private static string Sample(ScanRecord scan) => scan.SampledChunks == 0 ? "nothing was left to sample" : $"a sample of {scan.SampledChunks} unchanged chunks was as recorded";
}

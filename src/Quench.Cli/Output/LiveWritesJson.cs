using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;

namespace Quench.Cli.Output;

/// <summary>Prints each write as it is heard, for scripts: one JSON object a line.</summary>
internal sealed class LiveWritesJson(TextWriter output) : IActivitySink
{
    /// <inheritdoc/>
    public void Begin(ActivitySession session)
    {
    }

    /// <inheritdoc/>
    public void Add(in WriteEvent heard)
    {
        WriteEvent one = heard;
        JsonLine.WriteMessage(output, "write", writer =>
        {
            writer.WriteString("time", one.At);
            writer.WriteString("kind", ActivityJson.Name(one.Kind));
            writer.WriteNumber("offset", one.Offset);
            writer.WriteNumber("bytes", one.Length);
            writer.WriteNumber("process", one.Process.Id);
            writer.WriteString("name", one.Process.Name);
            writer.WriteBoolean("kernel", one.Process.IsKernel);
            writer.WriteString("evidence", ActivityJson.Name(one.Evidence));
            ActivityJson.WriteFile(writer, one.File);
        });
    }

    /// <inheritdoc/>
    public void Watched(DateTimeOffset until, WriteLosses losses)
    {
    }
}

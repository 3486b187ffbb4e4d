using System.Buffers;
using System.Text.Json;

namespace Quench.Writers;

/// <summary>Writes answers, each a line. (docs/writer-protocol.md, Messages)</summary>
internal static class Answer
{
    public static byte[] Done(long call) => Compose(call, null);

    public static byte[] Failed(long call, WriterError error, string message) => Compose(call, json =>
    {
        json.WriteString("error", error switch
        {
            WriterError.InconsistentSnapshot => "inconsistent-snapshot",
            WriterError.OutOfResources => "out-of-resources",
            WriterError.Timeout => "timeout",
            WriterError.Retryable => "retryable",
            _ => "non-retryable",
        });
        json.WriteString("message", message);
    }, isOk: false);

    /// <param name="call">The question's number.</param>
    /// <param name="lost">Why the hold is not confirmed; empty when it is.</param>
    public static byte[] OfHold(long call, string lost) => Compose(call, json =>
    {
        json.WriteBoolean("held", lost.Length == 0);
        if (lost.Length > 0)
        {
            json.WriteString("message", lost);
        }
    });

    public static byte[] Of(long call, IReadOnlyList<WriterDocument> documents) => Compose(call, json =>
    {
        json.WriteStartArray("documents");
        foreach (WriterDocument document in documents)
        {
            json.WriteStartObject();
            json.WriteString("name", document.Name);
            json.WriteString("path", document.Path);
            json.WriteString("text", document.Text);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public static byte[] Of(long call, WriterDescription writer) => Compose(call, json =>
    {
        json.WriteStartObject("writer");
        json.WriteString("id", writer.Id.ToString("D"));
        json.WriteString("name", writer.Name);
        json.WriteString("instance", writer.Instance);
        json.WriteString("version", writer.Version);
        json.WriteString("method", writer.Method);
        json.WriteString("level", writer.Level switch { FreezeLevel.FrontEnd => "front-end", FreezeLevel.System => "system", _ => "back-end" });
        if (writer.CannotHold is { } why)
        {
            json.WriteString("cannot_hold", why);
        }

        json.WriteStartArray("components");
        foreach (WriterComponent component in writer.Components)
        {
            Write(json, component);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static void Write(Utf8JsonWriter json, WriterComponent component)
    {
        json.WriteStartObject();
        json.WriteString("name", component.Name);
        json.WriteString("caption", component.Caption);
        json.WriteString("kind", component.Kind == ComponentKind.FileGroup ? "file-group" : "database");
        Write(json, "files", component.Files);
        Write(json, "excluded", component.Excluded);
        json.WriteString("restore", component.Restore switch
        {
            RestoreMethod.IfNotThere => "if-not-there",
            RestoreMethod.IfCanReplace => "if-can-replace",
            RestoreMethod.AlternateLocation => "alternate-location",
            RestoreMethod.Custom => "custom",
            _ => "stop-restore-start",
        });
        json.WriteString("restore_note", component.RestoreNote);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, IReadOnlyList<WriterFiles> all)
    {
        json.WriteStartArray(name);
        foreach (WriterFiles files in all)
        {
            json.WriteStartObject();
            json.WriteString("folder", files.Folder);
            json.WriteString("pattern", files.Pattern);
            json.WriteBoolean("recursive", files.IsRecursive);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static byte[] Compose(long call, Action<Utf8JsonWriter>? more, bool isOk = true)
    {
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteNumber("call", call);
            json.WriteBoolean("ok", isOk);
            more?.Invoke(json);
            json.WriteEndObject();
        }

        bytes.Write("\n"u8);
        return bytes.WrittenSpan.ToArray();
    }
}

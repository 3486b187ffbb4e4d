using System.Buffers;
using System.Text.Json;
using Quench.Snapshots.Coordination.Programs;

namespace Quench.Snapshots.Coordination.Remote;

/// <summary>The messages of the writer protocol, version 1. What comes in was written by others: each part is checked where it is read.</summary>
internal static class WriterMessages
{
    /// <summary>The version that is spoken.</summary>
    public const int Version = 1;

    private const int MostComponents = 1000;
    private const int MostFiles = 1000;
    private const int LongestText = 4096;

    public static byte[] Question(int call, WriterEvent step, TimeSpan deadline, Action<Utf8JsonWriter>? more)
    {
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteNumber("version", Version);
            json.WriteNumber("call", call);
            json.WriteString("event", WriterText.NameOf(step));
            json.WriteNumber("deadline_ms", Math.Max(1, (long)deadline.TotalMilliseconds));
            more?.Invoke(json);
            json.WriteEndObject();
        }

        bytes.Write("\n"u8);
        return bytes.WrittenSpan.ToArray();
    }

    public static void Write(Utf8JsonWriter json, BackupOperation operation)
    {
        json.WriteString("set", operation.SetId.ToString("D"));
        json.WriteString("kind", operation.Kind == BackupKind.Full ? "full" : "copy");
        json.WriteNumber("hold_limit_ms", (long)operation.HoldLimit.TotalMilliseconds);
        json.WriteStartArray("volumes");
        foreach (OperationVolume volume in operation.Volumes)
        {
            json.WriteStartObject();
            json.WriteString("name", volume.Name);
            json.WriteString("device", volume.Device);
            json.WriteString("mount_point", volume.MountPoint);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        Write(json, "components", operation.Components);
    }

    public static void Write(Utf8JsonWriter json, BackupOutcome outcome)
    {
        json.WriteBoolean("succeeded", outcome.Succeeded);
        json.WriteString("point", outcome.PointId?.ToString("N"));
        json.WriteBoolean("may_truncate_logs", outcome.MayTruncateLogs);
    }

    public static void Write(Utf8JsonWriter json, RestoreOperation operation, bool? succeeded)
    {
        json.WriteString("point", operation.PointId.ToString("N"));
        json.WriteString("target", operation.Target);
        Write(json, "components", operation.Components);
        json.WriteStartArray("documents");
        foreach (WriterDocument document in operation.Documents)
        {
            json.WriteStartObject();
            json.WriteString("name", document.Name);
            json.WriteString("path", document.Path);
            json.WriteString("text", document.Text);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (succeeded is { } done)
        {
            json.WriteBoolean("succeeded", done);
        }
    }

    /// <summary>Throws what a writer answered instead of doing what it was asked.</summary>
    public static void ThrowIfFailed(JsonElement answer)
    {
        if (Find(answer, "ok", JsonValueKind.True) is not null)
        {
            return;
        }

        WriterError error = Text(answer, "error") switch
        {
            "retryable" => WriterError.Retryable,
            "timeout" => WriterError.Timeout,
            "out-of-resources" => WriterError.OutOfResources,
            "inconsistent-snapshot" => WriterError.InconsistentSnapshot,
            _ => WriterError.NonRetryable,
        };
        throw new WriterException(error, Text(answer, "message") is { Length: > 0 } message ? PrintableText.Of(message) : "it failed and did not say why");
    }

    public static HoldAnswer ReadHeld(JsonElement answer) =>
        Find(answer, "held", JsonValueKind.True) is not null
            ? HoldAnswer.Held
            : HoldAnswer.Lost(Text(answer, "message") is { Length: > 0 } why ? PrintableText.Of(why) : "it did not say that its writes were held");

    public static IReadOnlyList<WriterDocument> ReadDocuments(JsonElement answer) =>
        [.. Items(answer, "documents", WriterDocument.MostOfOneWriter).Select(item =>
            new WriterDocument(Name(item, "name"), Text(item, "path"), Find(item, "text", JsonValueKind.String)?.GetString() ?? ""))];

    /// <summary>Reads who a writer is and what it owns.</summary>
    public static (WriterIdentity Identity, WriterMetadata Metadata) ReadWriter(JsonElement answer, string connection)
    {
        JsonElement writer = Find(answer, "writer", JsonValueKind.Object) ?? throw Malformed("it did not say who it is");
        Guid id = Guid.TryParse(Text(writer, "id"), out Guid given) ? given : throw Malformed("its id is no GUID");
        string instance = Text(writer, "instance") ?? "";
        WriterIdentity identity = new(id, WriterIdentity.InstanceIdOf(id, instance.Length > 0 ? instance : connection), Name(writer, "name"), PrintableText.Of(instance));
        WriterMetadata metadata = new()
        {
            Level = Text(writer, "level") switch { "front-end" => FreezeLevel.FrontEnd, "system" => FreezeLevel.System, null or "back-end" => FreezeLevel.BackEnd, _ => throw Malformed("its level is unknown") },
            Version = PrintableText.Of(Text(writer, "version") ?? ""),
            Method = PrintableText.Of(Text(writer, "method") ?? ""),
            CannotHold = Text(writer, "cannot_hold") is { Length: > 0 } why ? PrintableText.Of(why) : null,
            Components = [.. Items(writer, "components", MostComponents).Select(ReadComponent)],
        };
        return metadata.Components.DistinctBy(component => component.Name).Count() == metadata.Components.Count
            ? (identity, metadata)
            : throw Malformed("two of its components have the same name");
    }

    private static WriterComponent ReadComponent(JsonElement item) => new()
    {
        Name = Name(item, "name"),
        Caption = PrintableText.Of(Text(item, "caption") ?? ""),
        Kind = Text(item, "kind") switch { "file-group" => ComponentKind.FileGroup, null or "database" => ComponentKind.Database, _ => throw Malformed("a component's kind is unknown") },
        Files = [.. Items(item, "files", MostFiles).Select(ReadFiles)],
        Excluded = [.. Items(item, "excluded", MostFiles).Select(ReadFiles)],
        Restore = Text(item, "restore") switch
        {
            "if-not-there" => RestoreMethod.RestoreIfNotThere,
            "if-can-replace" => RestoreMethod.RestoreIfCanReplace,
            null or "stop-restore-start" => RestoreMethod.StopRestoreStart,
            "alternate-location" => RestoreMethod.RestoreToAlternateLocation,
            "custom" => RestoreMethod.Custom,
            _ => throw Malformed("a component's restore method is unknown"),
        },
        RestoreNote = PrintableText.Of(Text(item, "restore_note") ?? ""),
    };

    private static ComponentFiles ReadFiles(JsonElement item)
    {
        string folder = Text(item, "folder") ?? "";
        string pattern = Text(item, "pattern") ?? "*";
        bool isSound = folder.StartsWith('/') && !folder.Contains('\0', StringComparison.Ordinal) && pattern.Length > 0 && !pattern.Contains('/', StringComparison.Ordinal);
        return isSound
            ? new ComponentFiles(folder, pattern, Find(item, "recursive", JsonValueKind.False) is null)
            : throw Malformed("a component's files are not an absolute folder and a pattern with no slash");
    }

    private static List<JsonElement> Items(JsonElement parent, string name, int most) =>
        Find(parent, name, JsonValueKind.Array) is not { } array ? []
        : array.GetArrayLength() <= most ? [.. array.EnumerateArray()]
        : throw Malformed($"there are more than {most} {name}");

    private static string Name(JsonElement parent, string name) =>
        Text(parent, name) is { Length: > 0 and <= WriterIdentity.LongestName } text && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is ' ' or '-' or '.' or '_')
            ? text
            : throw Malformed($"a name is missing, longer than {WriterIdentity.LongestName} characters, or has others than letters, digits, blank, dash, dot and underscore");

    private static string? Text(JsonElement parent, string name) =>
        Find(parent, name, JsonValueKind.String)?.GetString() is not { } text ? null
        : text.Length <= LongestText ? text
        : throw Malformed($"its {name} is longer than {LongestText} characters");

    private static JsonElement? Find(JsonElement parent, string name, JsonValueKind kind) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out JsonElement found) && found.ValueKind == kind ? found : null;

    private static void Write(Utf8JsonWriter json, string name, IReadOnlyList<string>? words)
    {
        if (words is null)
        {
            json.WriteNull(name);
            return;
        }

        json.WriteStartArray(name);
        foreach (string word in words)
        {
            json.WriteStringValue(word);
        }

        json.WriteEndArray();
    }

    private static WriterException Malformed(string what) => new(WriterError.NonRetryable, $"what it answered breaks the writer protocol: {what}");
}

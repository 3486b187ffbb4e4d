using System.Text.Json;

namespace Quench.Writers;

/// <summary>One line of a backup. Fields that are not known are ignored. (docs/writer-protocol.md, Messages)</summary>
internal sealed class Question
{
    private readonly JsonElement _fields;

    private Question(JsonElement fields, long call, string @event, TimeSpan deadline) => (_fields, Call, Event, Deadline) = (fields, call, @event, deadline);

    public long Call { get; }

    public string Event { get; }

    public TimeSpan Deadline { get; }

    public bool Succeeded => IsTrue("succeeded");

    /// <returns>Null when it is no question.</returns>
    public static Question? TryParse(string line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement fields = document.RootElement.Clone();
            return new Question(fields, fields.GetProperty("call").GetInt64(), fields.GetProperty("event").GetString()!, Milliseconds(fields, "deadline_ms"));
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or OverflowException)
        {
            return null;
        }
    }

    public BackupPlan ReadPlan() => new(
        Guid.TryParse(Text(_fields, "set"), out Guid set) ? set : Guid.Empty,
        Text(_fields, "kind") == "full",
        Milliseconds(_fields, "hold_limit_ms"),
        [.. Items("volumes").Select(volume => new BackupVolume(Text(volume, "name") ?? "", Text(volume, "device") ?? "", Text(volume, "mount_point")))],
        Components());

    public BackupOutcome ReadOutcome() => new(
        Succeeded,
        Text(_fields, "point"),
        IsTrue("may_truncate_logs"));

    public RestorePlan ReadRestore() => new(
        Text(_fields, "point") ?? "",
        Text(_fields, "target"),
        Components(),
        [.. Items("documents").Select(document => new WriterDocument(Text(document, "name") ?? "", Text(document, "path"), Text(document, "text") ?? ""))]);

    private IReadOnlyList<string> Components() =>
        [.. Items("components").Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)];

    private JsonElement.ArrayEnumerator Items(string name) =>
        _fields.TryGetProperty(name, out JsonElement list) && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : default;

    private bool IsTrue(string name) => _fields.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.True;

    private static string? Text(JsonElement fields, string name) =>
        fields.ValueKind == JsonValueKind.Object && fields.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static TimeSpan Milliseconds(JsonElement fields, string name) => TimeSpan.FromMilliseconds(fields.GetProperty(name).GetInt64());
}

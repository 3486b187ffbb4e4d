using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Quench.Blocks;
using Quench.Blocks.Buffers;

namespace Quench.Cli.Output;

/// <summary>Writes JSON for scripts: one value a line.</summary>
internal static class JsonLine
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes whatever the caller puts into the writer, and a line feed.</summary>
    public static void Write(TextWriter output, Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, s_options))
        {
            write(writer);
        }

        output.WriteLine(Encoding.UTF8.GetString(buffer.WrittenSpan));
        output.Flush();
    }

    /// <summary>Writes an object that begins with its message type.</summary>
    public static void WriteMessage(TextWriter output, string type, Action<Utf8JsonWriter> write) => Write(output, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("message_type", type);
        write(writer);
        writer.WriteEndObject();
    });

    /// <summary>Writes an object whose last property is secret: it passes through no buffer that would keep it.</summary>
    /// <param name="host">Where it goes.</param>
    /// <param name="type">The message type.</param>
    /// <param name="name">What the secret property is called.</param>
    /// <param name="secret">Its value: ASCII with nothing to escape.</param>
    /// <param name="write">Writes the properties before it.</param>
    public static void WriteSecretMessage(CliHost host, string type, string name, SecretBytes secret, Action<Utf8JsonWriter> write)
    {
        using StringWriter open = new() { NewLine = "" };
        WriteMessage(open, type, write);
        host.Output.Write(open.ToString()[..^1] + $",\"{name}\":\""); // without its closing brace
        host.WriteSecret(secret.Span);
        host.Output.WriteLine("\"}");
        host.Output.Flush();
    }

    /// <summary>Writes a failure.</summary>
    public static void WriteError(TextWriter output, QuenchException failure) => WriteMessage(output, "error", writer =>
    {
        writer.WriteString("code", failure.Code);
        writer.WriteString("message", failure.Message);
        writer.WriteString("effect", failure.Effect);
        writer.WriteString("next", failure.Next);
        writer.WriteNumber("exit_code", failure.ExitCode);
        writer.WriteBoolean("can_retry", failure.CanRetry);
    });
}

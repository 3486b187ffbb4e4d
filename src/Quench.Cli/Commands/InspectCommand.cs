using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Sources;

namespace Quench.Cli.Commands;

/// <summary>quench inspect: what is on a device or in an image file, and where.</summary>
internal sealed class InspectCommand
{
    private const int Columns = 72;

    private readonly CliHost _host;
    private readonly Argument<string> _path = new("PATH") { Description = "A block device or an image file, of a disk or of a volume." };
    private readonly Option<bool> _json = CommonOptions.Json();
    private readonly Option<bool> _facts = new("--facts") { Description = "Print what it is as one JSON object, in place of the map." };
    private readonly Option<string?> _picture = new("--picture") { HelpName = "FILE", Description = "Draw its map into this new file, as SVG." };

    private InspectCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        InspectCommand inspect = new(host);
        Command command = new("inspect", HelpText.Of("inspect")) { inspect._path, inspect._json, inspect._facts, inspect._picture };
        command.Run(host, inspect.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SourceInspection found = await SourceInspection.LookAsync(parsed.GetValue(_path)!, cancellationToken);
        if (found.UsedBy.Length > 0)
        {
            _host.Error.WriteLine($"{found.Path} is in use ({found.UsedBy}): what is shown may be torn");
        }

        if (parsed.GetValue(_picture) is { } picture)
        {
            WritePicture(picture, found);
        }

        if (parsed.GetValue(_facts))
        {
            WriteFacts(found);
        }
        else if (parsed.GetValue(_json))
        {
            WriteMap(found);
        }
        else
        {
            WriteWords(found);
        }

        return ExitCodes.Done;
    }

    private static void WritePicture(string path, SourceInspection found)
    {
        try
        {
            using FileStream file = new(path, FileMode.CreateNew, FileAccess.Write);
            using StreamWriter writer = new(file);
            writer.Write(SvgPicture.Draw(found));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new QuenchException("CLI-151", $"the picture can't be written to {path}: {failure.Message}", "name a new file in a folder that may be written", failure);
        }
    }

    /// <summary>The shape of `qemu-img map --output=json`: what is in use is data, and of the rest nobody knows what it reads as.</summary>
    private void WriteMap(SourceInspection found) => JsonLine.Write(_host.Output, writer =>
    {
        writer.WriteStartArray();
        long position = 0;
        foreach (Extent run in found.Used.Runs().Append(new Extent(found.Length, 0)))
        {
            foreach ((Extent extent, bool isData) in ((Extent, bool)[])[(Extent.FromTo(position, run.Offset), false), (run, true)])
            {
                if (!extent.IsEmpty)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("start", extent.Offset);
                    writer.WriteNumber("length", extent.Length);
                    writer.WriteNumber("depth", 0);
                    writer.WriteBoolean("present", true);
                    writer.WriteBoolean("zero", false);
                    writer.WriteBoolean("data", isData);
                    writer.WriteBoolean("compressed", false);
                    writer.WriteNumber("offset", extent.Offset);
                    writer.WriteEndObject();
                }
            }

            position = run.End;
        }

        writer.WriteEndArray();
    });

    private void WriteFacts(SourceInspection found) => JsonLine.WriteMessage(_host.Output, "inspection", writer =>
    {
        writer.WriteString("path", found.Path);
        writer.WriteNumber("length", found.Length);
        writer.WriteString("content", found.Content);
        writer.WriteString("label", found.Label);
        writer.WriteString("uuid", found.Uuid);
        writer.WriteNumber("block_size", found.BlockSize);
        writer.WriteString("state", found.State);
        writer.WriteString("used_by", found.UsedBy);
        writer.WriteNumber("used_bytes", found.Used.TotalLength);
        writer.WriteString("map_doubt", found.Doubt);
        DiskJson.Write(writer, found.Disk);
    });

    private void WriteWords(SourceInspection found)
    {
        TextWriter output = _host.Output;
        if (found.Disk is { } disk)
        {
            DiskPicture.Write(output, disk, found.Length, found.Used);
        }
        else
        {
            string label = found.Label.Length > 0 ? $" \"{DiskRegion.Plain(found.Label)}\"" : "";
            string uuid = found.Uuid.Length > 0 ? $", uuid {found.Uuid}" : "";
            string blocks = found.BlockSize > 0 ? string.Create(CultureInfo.InvariantCulture, $", blocks of {found.BlockSize} bytes") : "";
            string state = found.State.Length > 0 ? $", {found.State}" : "";
            output.WriteLine($"{(found.Content.Length > 0 ? found.Content : "nothing that is recognised")}{label}, {ByteSize.Format(found.Length)}{blocks}{uuid}{state}");
            output.WriteLine($"|{UsedShare.Row(found.Used, new Extent(0, found.Length), Columns)}|");
        }

        WriteNumbers(output, found);
    }

    private static void WriteNumbers(TextWriter output, SourceInspection found)
    {
        long runs = 0;
        long longest = 0;
        foreach (Extent run in found.Used.Runs())
        {
            runs++;
            longest = Math.Max(longest, run.Length);
        }

        long used = found.Used.TotalLength;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"in use {ByteSize.Format(used)} of {ByteSize.Format(found.Length)} ({(found.Length == 0 ? 0 : 100.0 * used / found.Length):0.0} %) in {runs} runs, the longest {ByteSize.Format(longest)}"));
        if (found.Doubt is { } doubt)
        {
            output.WriteLine($"all of it counts as in use: {doubt}");
        }
    }
}

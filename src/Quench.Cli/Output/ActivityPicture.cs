using System.Globalization;
using System.Security;
using Quench.Blocks;
using Quench.Imaging.Activity.Writers;

namespace Quench.Cli.Output;

/// <summary>What a watch comes to as a picture (SVG 1.1): bars of bytes over time, a map of time and place, the busiest processes and files. It needs nothing but itself to be shown.</summary>
internal sealed class ActivityPicture(ActivitySummary summary, TimeZoneInfo zone)
{
    private const int Columns = 120;
    private const int ColumnWidth = 7;
    private const int Left = 90;
    private const int BarsTop = 60;
    private const int BarsHeight = 160;
    private const int MapTop = 270;
    private const int MapRow = 3;
    private const int ListTop = MapTop + (MapRow * ActivityTally.Places) + 60;
    private const int LineHeight = 18;
    private const int Listed = 10;
    private const string SystemColour = "#8a94a6";
    private const string ApplicationColour = "#d9772b";

    /// <summary>Writes it.</summary>
    public void WriteTo(TextWriter output)
    {
        int width = Left + (Columns * ColumnWidth) + 30;
        int height = ListTop + ((Listed + 1) * LineHeight) + 20;
        output.WriteLine(Text($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">"));
        output.WriteLine("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
        WriteWords(output, Left, 24, $"{summary.Session.Device}: {ByteSize.Format(summary.Writes.Bytes)} in {Number(summary.Writes.Count)} writes to {Number(summary.FileCount)} files, {ProgressText.Span(summary.Watched)} watched", "start", 15);
        WriteBars(output);
        WriteMap(output);
        WriteList(output, Left, "processes", [.. summary.Processes.Take(Listed).Select(process => (ActivityText.NameOf(process), process.Bytes))]);
        WriteList(output, Left + (Columns * ColumnWidth / 2), "files", [.. summary.Files.Take(Listed).Select(file => (ActivityText.NameOf(file.File), file.Bytes))]);
        output.WriteLine("</svg>");
    }

    private void WriteBars(TextWriter output)
    {
        IReadOnlyList<TimelineColumn> columns = summary.Timeline.Cut(Columns);
        long most = Math.Max(1, columns.Max(column => column.Bytes));
        foreach ((int index, TimelineColumn column) in columns.Index())
        {
            int x = Left + (index * ColumnWidth);
            if (!column.IsWatched)
            {
                WriteBox(output, x, BarsTop, ColumnWidth, BarsHeight, "#f2f2f2");
                continue;
            }

            double system = (double)BarsHeight * column.SystemBytes / most;
            double other = (double)BarsHeight * column.OtherBytes / most;
            WriteBox(output, x, BarsTop + BarsHeight - system, ColumnWidth - 1, system, SystemColour);
            WriteBox(output, x, BarsTop + BarsHeight - system - other, ColumnWidth - 1, other, ApplicationColour);
        }

        WriteBox(output, Left, BarsTop + BarsHeight, Columns * ColumnWidth, 1, "black");
        WriteWords(output, Left - 6, BarsTop + 10, ByteSize.Format(most), "end");
        WriteWords(output, Left - 6, BarsTop + BarsHeight, "0", "end");
        WriteWords(output, Left, BarsTop + BarsHeight + 16, Time(summary.Start), "start");
        WriteWords(output, Left + (Columns * ColumnWidth), BarsTop + BarsHeight + 16, Time(summary.End), "end");
        WriteBox(output, Left, 36, 10, 10, ApplicationColour);
        WriteWords(output, Left + 14, 45, "applications", "start");
        WriteBox(output, Left + 110, 36, 10, 10, SystemColour);
        WriteWords(output, Left + 124, 45, "system", "start");
    }

    /// <summary>Darker is more, by the root of the bytes, so that little still shows beside much.</summary>
    private void WriteMap(TextWriter output)
    {
        long[][] places = summary.Timeline.CutPlaces(Columns);
        double most = Math.Sqrt(Math.Max(1, places.Max(column => column.Max())));
        WriteBox(output, Left, MapTop, Columns * ColumnWidth, MapRow * ActivityTally.Places, "#f7f7f7");
        for (int column = 0; column < Columns; column++)
        {
            for (int place = 0; place < ActivityTally.Places; place++)
            {
                if (places[column][place] > 0)
                {
                    double strength = 0.15 + (0.85 * Math.Sqrt(places[column][place]) / most);
                    output.WriteLine(Text(
                        $"<rect x=\"{Left + (column * ColumnWidth)}\" y=\"{MapTop + ((ActivityTally.Places - 1 - place) * MapRow)}\" width=\"{ColumnWidth}\" height=\"{MapRow}\" fill=\"#1f4e79\" fill-opacity=\"{strength:0.##}\"/>"));
                }
            }
        }

        WriteWords(output, Left - 6, MapTop + 10, ByteSize.Format(summary.Session.Length), "end");
        WriteWords(output, Left - 6, MapTop + (MapRow * ActivityTally.Places), "0", "end");
        WriteWords(output, Left, MapTop - 8, "where on the volume (a column is a minute or more)", "start");
    }

    private static void WriteList(TextWriter output, int x, string title, IReadOnlyList<(string Name, long Bytes)> rows)
    {
        WriteWords(output, x, ListTop, title, "start", 13);
        foreach ((int index, (string name, long bytes)) in rows.Index())
        {
            const int Longest = 48;
            string shown = name.Length > Longest ? "…" + name[^(Longest - 1)..] : name;
            WriteWords(output, x + 70, ListTop + ((index + 1) * LineHeight), ByteSize.Format(bytes), "end");
            WriteWords(output, x + 80, ListTop + ((index + 1) * LineHeight), shown, "start");
        }
    }

    private static void WriteBox(TextWriter output, double x, double y, double width, double height, string colour)
    {
        if (height > 0)
        {
            output.WriteLine(Text($"<rect x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\" height=\"{height:0.##}\" fill=\"{colour}\"/>"));
        }
    }

    private static void WriteWords(TextWriter output, int x, int y, string words, string anchor, int size = 12) =>
        output.WriteLine(Text($"<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{SecurityElement.Escape(WithoutControls(words))}</text>"));

    /// <summary>A file's name may hold what XML can't.</summary>
    private static string WithoutControls(string words) => string.Concat(words.Select(letter => char.IsControl(letter) || char.IsSurrogate(letter) ? '?' : letter));

    private string Time(DateTimeOffset at) => TimeZoneInfo.ConvertTime(at, zone).ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    private static string Number(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using Quench.FileSystems.PartitionTables;
using Xunit;

namespace Quench.Tests.FileSystems.PartitionTables;

/// <summary>A disk to be divided by sfdisk: a script drawn by chance.</summary>
internal sealed record DiskRecipe(bool IsGpt, long Length, int SectorSize, string Script)
{
    private static readonly string[] s_mbrTypes = ["83", "7", "82", "c", "8e", "ef"];
    private static readonly string[] s_gptTypes =
    [
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "21686148-6449-6E6F-744E-656564454649",
    ];

    /// <summary>Draws one. Disks of large sectors need a loop device, which has them.</summary>
    public static DiskRecipe Draw(Random random)
    {
        bool isGpt = random.Next(2) == 0;
        int sector = Environment.IsPrivilegedProcess && random.Next(4) == 0 ? 4096 : 512;
        long length = (random.Next(24, 200) * (1L << 20)) + (random.Next(3) == 0 ? random.Next(1, 200) * (long)sector : 0);
        StringBuilder script = new(isGpt ? "label: gpt\nfirst-lba: 34\n" : "label: dos\n");
        long sectors = length / sector;
        long room = sectors - 8192 * 512 / sector;
        int count = random.Next(1, isGpt ? 12 : 4);
        bool hasLogical = !isGpt && random.Next(2) == 0;
        long at = random.Next(2) == 0 ? (1 << 20) / sector : 64 + random.Next(100);
        long step = room / (count + (hasLogical ? 6 : 1));
        for (int index = 0; index < count; index++)
        {
            Add(script, random, isGpt, at, Math.Max(1, step - random.Next(0, (int)Math.Min(step / 2, 1000))));
            at += step;
        }

        if (hasLogical)
        {
            script.Append(CultureInfo.InvariantCulture, $"start={at}, size={room - at}, type={(random.Next(2) == 0 ? "5" : "f")}\n");
            long each = (room - at) / 5;
            for (int index = random.Next(0, 5); index > 0; index--)
            {
                at += 2048;
                Add(script, random, isGpt, at, Math.Max(1, each - 2048 - random.Next(0, 100)));
                at += each - 2048;
            }
        }

        return new DiskRecipe(isGpt, length, sector, script.ToString());
    }

    private static void Add(StringBuilder script, Random random, bool isGpt, long start, long size)
    {
        string type = isGpt ? s_gptTypes[random.Next(s_gptTypes.Length)] : s_mbrTypes[random.Next(s_mbrTypes.Length)];
        string name = isGpt && random.Next(2) == 0 ? $", name=\"Größe {random.Next(100)}\"" : "";
        string active = !isGpt && random.Next(4) == 0 ? ", bootable" : "";
        script.Append(CultureInfo.InvariantCulture, $"start={start}, size={size}, type={type}{name}{active}\n");
    }

    /// <summary>Makes it.</summary>
    public async Task MakeAsync(string path)
    {
        using (FileStream file = File.Create(path))
        {
            file.SetLength(Length);
        }

        string script = path + ".script";
        await File.WriteAllTextAsync(script, Script);
        await WithDeviceAsync(path, device => Tool.RunAsync("sh", "-c", $"PATH=$PATH:/usr/sbin sfdisk --no-reread --no-tell-kernel -q {device} < {script} 2>&1"));
    }

    /// <summary>What sfdisk says of a disk, a line for each partition.</summary>
    public async Task<IReadOnlyList<string>> WitnessAsync(string path) => await WithDeviceAsync(path, async device =>
    {
        using JsonDocument said = JsonDocument.Parse(await Tool.RunAsync("sfdisk", "--json", device));
        JsonElement table = said.RootElement.GetProperty("partitiontable");
        List<string> lines = [$"{table.GetProperty("label").GetString()} {table.GetProperty("id").GetString()!.Replace("0x", "", StringComparison.Ordinal).ToLowerInvariant()} {SectorSize}"];
        foreach (JsonElement partition in table.TryGetProperty("partitions", out JsonElement all) ? all.EnumerateArray() : default)
        {
            string type = partition.GetProperty("type").GetString()!.ToLowerInvariant();
            if (type is not ("5" or "f" or "85"))
            {
                string number = partition.GetProperty("node").GetString()![device.Length..].TrimStart('p');
                string name = partition.TryGetProperty("name", out JsonElement given) ? given.GetString()! : "";
                string id = partition.TryGetProperty("uuid", out JsonElement uuid) ? uuid.GetString()!.ToLowerInvariant() : "";
                bool active = partition.TryGetProperty("bootable", out JsonElement bootable) && bootable.GetBoolean();
                lines.Add(Line(number, partition.GetProperty("start").GetInt64(), partition.GetProperty("size").GetInt64(), IsGpt ? type : $"0x{type.PadLeft(2, '0')}", name, id, active));
            }
        }

        return (IReadOnlyList<string>)lines;
    });

    /// <summary>The same lines of a table that we read.</summary>
    public static IReadOnlyList<string> Lines(PartitionTable table) =>
    [
        $"{(table.Scheme == PartitionScheme.Gpt ? "gpt" : "dos")} {table.Id} {table.SectorSize}",
        .. table.Partitions.Select(partition => Line(
            $"{partition.Number}", partition.Extent.Offset / table.SectorSize, partition.Extent.Length / table.SectorSize, partition.Type, partition.Name,
            table.Scheme == PartitionScheme.Gpt ? partition.Id : "", partition.IsActive)),
    ];

    /// <summary>Runs something on a disk under a name that has sectors of the right size.</summary>
    public async Task<T> WithDeviceAsync<T>(string path, Func<string, Task<T>> run)
    {
        if (SectorSize == 512)
        {
            return await run(path);
        }

        string loop = (await Tool.RunAsync("losetup", "--find", "--show", "--sector-size", $"{SectorSize}", path)).Trim();
        try
        {
            return await run(loop);
        }
        finally
        {
            await Tool.RunAsync("losetup", "-d", loop);
        }
    }

    /// <summary>What sgdisk and sfdisk find wrong with a disk; null for nothing.</summary>
    public Task<string?> FindProblemAsync(string path) => WithDeviceAsync(path, async device =>
    {
        (int code, string output, string error) = await Tool.TryRunAsync("sfdisk", "--verify", device);
        if (code != 0)
        {
            return $"sfdisk --verify: {output}{error}";
        }

        string said = IsGpt ? await Tool.RunAsync("sgdisk", "-v", device) : "No problems found";
        return said.Contains("No problems found", StringComparison.Ordinal) ? null : $"sgdisk -v: {said}";
    });

    /// <summary>Demands that they find nothing.</summary>
    public async Task DemandValidAsync(string path)
    {
        string? problem = await FindProblemAsync(path);
        Assert.True(problem is null, $"{problem}\n{Script}");
    }

    private static string Line(string number, long start, long size, string type, string name, string id, bool isActive) =>
        string.Create(CultureInfo.InvariantCulture, $"{number}: {start}+{size} {type} {id} \"{name}\"{(isActive ? " active" : "")}");
}

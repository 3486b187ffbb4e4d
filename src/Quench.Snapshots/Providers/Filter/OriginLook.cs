using System.Globalization;
using Quench.Interop.Linux;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Looks at an origin without reading it. A regular file bears its times; a block device bears the kernel's counts of what was written to it, which
/// begin anew with each boot. This is as good as the kernel's clock and counters are: who writes below a device-mapper or RAID device, or
/// sets the clock back, is not seen.
/// </summary>
internal static class OriginLook
{
    private const int WriteCount = 4;     // fields of /sys/.../stat (block/stat): write I/Os, merges, sectors, …
    private const int WriteSectors = 6;
    private const int DiscardCount = 11;
    private const int DiscardSectors = 13;

    private static readonly string[] s_identities = ["dm/uuid", "wwid", "device/wwid", "serial", "device/serial", "loop/backing_file"];

    /// <summary>The origin as it is now.</summary>
    internal static OriginFacts At(string path, long length)
    {
        string boot = BootId();
        return NativeFile.TryGetStatus(path) switch
        {
            { Kind: FileKind.Regular } file => new OriginFacts(
                length,
                string.Create(CultureInfo.InvariantCulture, $"file {Path.GetFullPath(path)} inode {file.Inode}"),
                string.Create(CultureInfo.InvariantCulture, $"{file.Length} {file.Inode} {file.ModifiedNanoseconds} {file.ChangedNanoseconds}"),
                boot,
                file.ChangedNanoseconds / 1_000_000_000 < BootSeconds()),
            { Kind: FileKind.BlockDevice } device => OfDevice(device.SpecialDevice, length, boot),
            _ => new OriginFacts(length, null, null, boot, false),
        };
    }

    /// <summary>
    /// Waits until a file's clock has gone on since the file was last written, so that whoever writes it next leaves another time. The kernel's clock
    /// for files ticks every few milliseconds.
    /// </summary>
    internal static async Task LetClockTickAsync(string path, TimeProvider clock)
    {
        TimeSpan tick = TimeSpan.FromMilliseconds(20);
        if (NativeFile.TryGetStatus(path) is { Kind: FileKind.Regular } file
            && clock.GetUtcNow() - DateTimeOffset.FromUnixTimeMilliseconds(file.ChangedNanoseconds / 1_000_000) < tick)
        {
            await Task.Delay(tick, clock);
        }
    }

    private static OriginFacts OfDevice(DeviceNumber device, long length, string boot)
    {
        string? folder = Folder(device);
        if (folder is null)
        {
            return new OriginFacts(length, null, null, boot, false);
        }

        bool isPart = File.Exists(Path.Combine(folder, "partition"));
        string whole = isPart ? Path.GetDirectoryName(folder)! : folder;
        string place = isPart ? $" part at {Text(folder, "start")}, {Text(folder, "size")} sectors" : "";
        string? name = s_identities.Select(file => Text(whole, file)).FirstOrDefault(text => text is { Length: > 0 });
        string? sequence = Text(whole, "diskseq");
        bool counts = Text(whole, "queue/iostats") == "1" && sequence is not null;
        (long own, long ownSectors) = Written(folder);
        (long past, long pastSectors) = WrittenPastParts(whole, isPart);
        return new OriginFacts(
            length,
            name is not null ? $"device {name}{place}" : sequence is not null ? $"device {device} number {sequence} of boot {boot}{place}" : null,
            counts ? string.Create(CultureInfo.InvariantCulture, $"boot {boot}, medium {sequence}, written {own}/{ownSectors}, past partitions {past}/{pastSectors}") : null,
            boot,
            counts && own == 0 && past == 0);
    }

    /// <summary>What was written to the whole disk and not through one of its partitions: it may have hit ours.</summary>
    private static (long Count, long Sectors) WrittenPastParts(string whole, bool isPart)
    {
        if (!isPart)
        {
            return (0, 0); // the whole disk's own counts have everything
        }

        (long count, long sectors) = Written(whole);
        foreach (string part in Directory.EnumerateDirectories(whole).Where(part => File.Exists(Path.Combine(part, "partition"))))
        {
            (long partCount, long partSectors) = Written(part);
            count -= partCount;
            sectors -= partSectors;
        }

        return (count, sectors);
    }

    private static (long Count, long Sectors) Written(string folder)
    {
        string[] fields = Text(folder, "stat")?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
        return (Field(fields, WriteCount) + Field(fields, DiscardCount), Field(fields, WriteSectors) + Field(fields, DiscardSectors));
    }

    private static long Field(string[] fields, int index) => index < fields.Length ? long.Parse(fields[index], CultureInfo.InvariantCulture) : 0;

    private static string? Folder(DeviceNumber device)
    {
        string link = $"/sys/dev/block/{device}";
        return Directory.Exists(link) ? Path.GetFullPath(new DirectoryInfo(link).ResolveLinkTarget(returnFinalTarget: true)!.FullName) : null;
    }

    private static string? Text(string folder, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, file)).Trim();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    internal static string BootId() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    private static long BootSeconds() =>
        long.Parse(File.ReadLines("/proc/stat").First(line => line.StartsWith("btime ", StringComparison.Ordinal))[6..], CultureInfo.InvariantCulture);
}

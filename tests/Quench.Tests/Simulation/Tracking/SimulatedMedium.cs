namespace Quench.Tests.Simulation.Tracking;

/// <summary>A file on a disk with a volatile cache: what was not synced may be lost or kept, each sector for itself.</summary>
internal sealed class SimulatedFile
{
    private const int Sector = 512;

    private readonly Dictionary<int, List<byte[]>> _pending = []; // sector → what was written since the last sync, in order
    private readonly Dictionary<int, byte[]> _durable = [];
    private int _durableLength;
    private int _length;

    public void Write(int offset, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += Sector)
        {
            byte[] sector = new byte[Sector];
            bytes[at..Math.Min(bytes.Length, at + Sector)].CopyTo(sector);
            int number = (offset + at) / Sector;
            if (!_pending.TryGetValue(number, out List<byte[]>? versions))
            {
                _pending[number] = versions = [];
            }

            versions.Add(sector);
        }

        _length = Math.Max(_length, offset + bytes.Length);
    }

    public void Sync()
    {
        foreach ((int number, List<byte[]> versions) in _pending)
        {
            _durable[number] = versions[^1];
        }

        _pending.Clear();
        _durableLength = _length;
    }

    /// <summary>The power fails.</summary>
    /// <returns>Whether a sector that had been written was lost.</returns>
    public bool LosePower(Dice dice)
    {
        bool torn = false;
        foreach ((int number, List<byte[]> versions) in _pending)
        {
            int kept = dice.Below(versions.Count + 1) - 1; // any version, or the durable one
            torn |= kept < versions.Count - 1;
            if (kept >= 0)
            {
                _durable[number] = versions[kept];
            }
        }

        _pending.Clear();
        _length = _durableLength = dice.OneIn(2) ? _length : _durableLength;
        return torn;
    }

    public byte[] Content()
    {
        byte[] content = new byte[_length];
        foreach ((int number, byte[] sector) in _durable)
        {
            Place(number, sector);
        }

        foreach ((int number, List<byte[]> versions) in _pending)
        {
            Place(number, versions[^1]);
        }

        return content;

        void Place(int number, byte[] sector)
        {
            int at = number * Sector;
            if (at < content.Length)
            {
                sector.AsSpan(0, Math.Min(Sector, content.Length - at)).CopyTo(content.AsSpan(at));
            }
        }
    }
}

/// <summary>An origin whose cache may lose what was not flushed. A grain's content is the number of the write that made it.</summary>
internal sealed class SimulatedOrigin
{
    private readonly Dictionary<long, List<long>> _pending = [];
    private readonly Dictionary<long, long> _content = [];

    /// <summary>Grows with each write, as a file's times do.</summary>
    public long Stamp { get; private set; }

    public void Write(long grain, long value)
    {
        if (!_pending.TryGetValue(grain, out List<long>? before))
        {
            _pending[grain] = before = [];
        }

        before.Add(_content.GetValueOrDefault(grain));
        _content[grain] = value;
        Stamp++;
    }

    public void Flush() => _pending.Clear();

    public void LosePower(Dice dice)
    {
        foreach ((long grain, List<long> before) in _pending)
        {
            int kept = dice.Below(before.Count + 1);
            if (kept < before.Count)
            {
                _content[grain] = before[kept];
            }
        }

        _pending.Clear();
    }

    public Dictionary<long, long> Copy() => new(_content);
}

namespace Quench.Imaging.Activity;

/// <summary>
/// What a job says about itself while it runs. The job's lanes add bytes; whoever shows it asks for <see cref="Read"/> when it likes.
/// Thread-safe; adding costs one interlocked addition.
/// </summary>
public sealed class ActivityMonitor
{
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new(); // guards the four below
    private JobPhase _phase;
    private long _total;
    private long _began;
    private Throughput _throughput;
    private long _done;

    /// <summary>A job that is being prepared.</summary>
    public ActivityMonitor(TimeProvider clock)
    {
        _clock = clock;
        _began = clock.GetTimestamp();
        _throughput = new Throughput();
    }

    /// <summary>Begins a phase: the count of done bytes starts again at 0.</summary>
    /// <param name="phase">What begins.</param>
    /// <param name="totalBytes">Its bytes in all; 0 when not known.</param>
    public void Begin(JobPhase phase, long totalBytes)
    {
        lock (_gate)
        {
            _phase = phase;
            _total = totalBytes;
            _began = _clock.GetTimestamp();
            _throughput = new Throughput();
            Volatile.Write(ref _done, 0);
        }
    }

    /// <summary>Counts bytes of the present phase as done.</summary>
    public void Add(long bytes) => Interlocked.Add(ref _done, bytes);

    /// <summary>Says how many bytes of the present phase are done.</summary>
    public void Set(long bytesDone, long totalBytes)
    {
        lock (_gate)
        {
            _total = totalBytes;
            Volatile.Write(ref _done, bytesDone);
        }
    }

    /// <summary>How far the job is now.</summary>
    public Progress Read()
    {
        lock (_gate)
        {
            long done = Volatile.Read(ref _done);
            TimeSpan elapsed = _clock.GetElapsedTime(_began);
            double rate = _throughput.Measure(elapsed, done);
            TimeSpan? remaining = rate > 0 && _total >= done ? TimeSpan.FromSeconds(Math.Min(8_640_000, (_total - done) / rate)) : null;
            return new Progress(_phase, done, _total, rate, elapsed, remaining);
        }
    }
}

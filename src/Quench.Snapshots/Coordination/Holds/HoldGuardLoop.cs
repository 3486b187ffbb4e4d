using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Quench.Snapshots.Coordination.Programs;

namespace Quench.Snapshots.Coordination.Holds;

/// <summary>The guard's side: takes one hold when it is told to, and ends it when it is told to, when its time is up, or when its owner is gone.</summary>
/// <remarks>
/// Lines over its standard input and output:
/// <code>
/// owner                              guard
///                               ◀─── R              ready: everything that is used later has been used once
/// H 20000                      ────▶                hold; from here the clock runs, 20 s
///                               ◀─── H              it holds          (or  F Retryable sentence: it does not, and nothing is held)
/// T                            ────▶                confirm and let go
///                               ◀─── T              it was held all the time, and is let go  (or  L sentence: it was not, or nobody knows)
///                               ◀─── E              production goes on, as far as one can see (or  E sentence)
/// end of the input, or the limit                    let go
/// </code>
/// </remarks>
/// <param name="hold">What is held.</param>
/// <param name="input">From its owner. Its end means that the owner is gone: the kernel closes a dead process's pipes.</param>
/// <param name="output">To its owner.</param>
/// <param name="clock">Real time, or a test's.</param>
internal sealed class HoldGuardLoop(IGuardedHold hold, Stream input, Stream output, TimeProvider clock)
{
    internal const int Done = 0;
    internal const int NotHeld = 1;
    internal const int OwnerGone = 3;
    internal const int LimitPassed = 4;
    internal const int MayStillBeHeld = 5;

    private const int LongestLine = 64;

    private static readonly TimeSpan s_prepareLimit = TimeSpan.FromSeconds(30);

    /// <summary>From its first line to its exit code.</summary>
    internal async Task<int> RunAsync()
    {
        try
        {
            using CancellationTokenSource limit = new(s_prepareLimit, clock);
            await hold.PrepareAsync(limit.Token);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            Say(Failure(failure));
            return NotHeld;
        }

        Say("R");
        return await ReadLineAsync() is { } line && TryReadLimit(line, out TimeSpan holdLimit) ? await HoldAsync(holdLimit) : Done;
    }

    private async Task<int> HoldAsync(TimeSpan holdLimit)
    {
        using CancellationTokenSource limit = new(holdLimit, clock);
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task<string?> word = ReadLineAsync();
        _ = CancelAfterAsync(word, over); // not waited for: the input may stay open
        try
        {
            await hold.HoldAsync(over.Token);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            string? held = await EndAsync(hold.LetGoAsync);
            Say(held is not null ? $"F {WriterError.NonRetryable} {held}" : limit.IsCancellationRequested ? $"F {WriterError.Timeout} the hold's limit had passed before it held" : Failure(failure));
            return held is not null ? MayStillBeHeld : NotHeld;
        }

        Say("H");
        await Task.WhenAny(word, Task.Delay(Timeout.InfiniteTimeSpan, clock, limit.Token));
        string? said = word.IsCompletedSuccessfully ? await word : null;
        HoldAnswer answer = HoldAnswer.Lost("nobody asked");
        if (said == "T")
        {
            answer = await ConfirmAsync(limit.Token);
        }

        string? failed = await EndAsync(hold.LetGoAsync);
        if (said == "T")
        {
            Say(answer.IsHeld && failed is null ? "T" : $"L {PrintableText.Of(failed ?? answer.Reason ?? "nobody knows why")}");
        }

        failed ??= await EndAsync(hold.SettleAsync);
        Say(failed is null ? "E" : $"E {failed}");
        return failed is not null ? MayStillBeHeld
            : said == "T" ? Done
            : limit.IsCancellationRequested ? LimitPassed
            : OwnerGone;
    }

    private async Task<HoldAnswer> ConfirmAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await hold.ConfirmAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            return HoldAnswer.Lost(cancellationToken.IsCancellationRequested ? "the hold's limit had passed" : failure.Message);
        }
    }

    /// <summary>Any word, or the end, while the hold is being taken calls it off.</summary>
    private static async Task CancelAfterAsync(Task<string?> word, CancellationTokenSource over)
    {
        await word;
        try
        {
            await over.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // It is over already.
        }
    }

    /// <returns>Why production may not go on; null when it does.</returns>
    private static async Task<string?> EndAsync(Func<ValueTask> end)
    {
        try
        {
            await end();
            return null;
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            string message = PrintableText.Of(failure.Message);
            await Console.Error.WriteLineAsync($"quench: {message}"); // the owner may be gone: this may be all that anybody hears
            return message;
        }
    }

    private static string Failure(Exception failure)
    {
        WriterError error = failure switch
        {
            WriterException known => known.Error,
            OperationCanceledException => WriterError.Timeout,
            IOException or SocketException => WriterError.NotResponding,
            _ => WriterError.NonRetryable,
        };
        return $"F {error} {PrintableText.Of(failure is OperationCanceledException ? "it was not done in time" : failure.Message)}";
    }

    private static bool TryReadLimit(string line, out TimeSpan limit)
    {
        int milliseconds = 0;
        bool isLimit = line is ['H', ' ', .. var digits] && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out milliseconds);
        limit = TimeSpan.FromMilliseconds(milliseconds);
        return isLimit;
    }

    private void Say(string line)
    {
        try
        {
            output.Write(Encoding.UTF8.GetBytes(line + "\n"));
            output.Flush();
        }
        catch (IOException)
        {
            // The owner is gone, or has hung up: the end of the input says so too.
        }
    }

    /// <returns>Null at the end, and for what no owner says.</returns>
    private async Task<string?> ReadLineAsync()
    {
        byte[] line = new byte[LongestLine];
        for (int length = 0; length < line.Length; length++)
        {
            if (await input.ReadAsync(line.AsMemory(length, 1)) == 0)
            {
                return null;
            }

            if (line[length] == (byte)'\n')
            {
                return Encoding.ASCII.GetString(line, 0, length);
            }
        }

        return null;
    }
}

using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;

namespace Quench.Writers;

/// <summary>One conversation with a backup. Questions are answered one by one; an abort cancels the one that is being answered.</summary>
internal sealed class Conversation(BackupWriter writer, Stream input, Stream output, TimeProvider clock)
{
    private static readonly UTF8Encoding s_text = new(encoderShouldEmitUTF8Identifier: false);

    private readonly Channel<Question> _questions = Channel.CreateUnbounded<Question>();
    private TimeSpan _holdLimit = TimeSpan.FromSeconds(20);
    private Task _limit = Task.Delay(Timeout.Infinite);

    /// <summary>Whether something may be held. True before the hold begins: what fails halfway is let go of too.</summary>
    private bool _mayHold;

    /// <summary>Why a thaw can't confirm the hold; empty while it is in order.</summary>
    private string _lost = "nothing was held";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task reading = ReadAsync(ended.Token);
        try
        {
            while (await NextAsync(cancellationToken) is { } question)
            {
                await AnswerAsync(question, cancellationToken);
            }
        }
        catch (IOException)
        {
            // Nobody hears the answer: the conversation is over.
        }
        finally
        {
            await LetGoAsync("the conversation ended");
            await ended.CancelAsync();
            await reading;
        }
    }

    /// <summary>Puts questions into the queue until there are no more.</summary>
    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        using StreamReader reader = new(input, s_text, leaveOpen: true);
        try
        {
            while (await reader.ReadLineAsync(cancellationToken) is { } line)
            {
                if (Question.TryParse(line) is not { } question)
                {
                    break; // whoever sends that does not speak this language
                }

                _questions.Writer.TryWrite(question);
            }
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException or SocketException)
        {
            // As if it had ended.
        }

        _questions.Writer.TryComplete();
    }

    /// <summary>Waits for a question, and lets go when the limit passes before one comes.</summary>
    private async Task<Question?> NextAsync(CancellationToken cancellationToken)
    {
        Task<bool> more = _questions.Reader.WaitToReadAsync(cancellationToken).AsTask();
        while (await Task.WhenAny(more, _limit) != more)
        {
            await LetGoAsync("the hold limit had passed");
        }

        return await more && _questions.Reader.TryRead(out Question? question) ? question : null;
    }

    private async Task AnswerAsync(Question question, CancellationToken cancellationToken)
    {
        using CancellationTokenSource late = new(question.Deadline, clock);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        Task<byte[]> answering = ComposeAsync(question, both.Token);
        while (!answering.IsCompleted && question.Event != Events.Abort)
        {
            Task<bool> more = _questions.Reader.WaitToReadAsync(cancellationToken).AsTask();
            if (await Task.WhenAny(answering, more, _limit) == answering)
            {
                break;
            }

            if (_limit.IsCompleted || !await more || (_questions.Reader.TryPeek(out Question? next) && next.Event == Events.Abort))
            {
                await both.CancelAsync(); // given up, hung up, or held for too long
                break;
            }

            await Task.WhenAny(answering, _limit); // a question that came too early waits
        }

        byte[] answer = await answering;
        await output.WriteAsync(answer, cancellationToken);
        await output.FlushAsync(cancellationToken);
    }

    private async Task<byte[]> ComposeAsync(Question question, CancellationToken cancellationToken)
    {
        try
        {
            return await DoAsync(question, cancellationToken);
        }
        catch (WriterFailureException failure)
        {
            return Answer.Failed(question.Call, failure.Error, failure.Message);
        }
        catch (OperationCanceledException)
        {
            return Answer.Failed(question.Call, WriterError.Timeout, $"it was not done within {question.Deadline.TotalSeconds:0.0} s");
        }
        catch (Exception failure) when (failure is IOException or SocketException or UnauthorizedAccessException)
        {
            return Answer.Failed(question.Call, WriterError.Retryable, failure.Message);
        }
#pragma warning disable CA1031 // Whatever an application throws must be told to the backup: no answer would cost it its deadline, and the other applications too.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return Answer.Failed(question.Call, WriterError.NonRetryable, $"{failure.GetType().Name}: {failure.Message}");
        }
    }

    private async Task<byte[]> DoAsync(Question question, CancellationToken cancellationToken)
    {
        switch (question.Event)
        {
            case Events.Identify:
                return Answer.Of(question.Call, await writer.IdentifyAsync(cancellationToken));
            case Events.PrepareBackup:
                BackupPlan plan = question.ReadPlan();
                _holdLimit = plan.HoldLimit;
                await writer.PrepareBackupAsync(plan, cancellationToken);
                break;
            case Events.PrepareSnapshot:
                await writer.PrepareSnapshotAsync(cancellationToken);
                break;
            case Events.Freeze:
                await HoldAsync(cancellationToken);
                break;
            case Events.Thaw:
                return Answer.OfHold(question.Call, await ThawAsync());
            case Events.PostSnapshot:
                return Answer.Of(question.Call, await writer.GetDocumentsAsync(cancellationToken));
            case Events.BackupComplete:
                await writer.CompleteAsync(question.ReadOutcome(), cancellationToken);
                break;
            case Events.Abort:
                await LetGoAsync("it was aborted");
                break;
            case Events.PreRestore:
                await writer.PreRestoreAsync(question.ReadRestore(), cancellationToken);
                break;
            case Events.PostRestore:
                await writer.PostRestoreAsync(question.ReadRestore(), question.Succeeded, cancellationToken);
                break;
            default:
                throw new WriterFailureException(WriterError.NonRetryable, $"this writer does not know {question.Event}");
        }

        return Answer.Done(question.Call);
    }

    private async Task HoldAsync(CancellationToken cancellationToken)
    {
        _limit = Task.Delay(_holdLimit, clock, CancellationToken.None);
        (_mayHold, _lost) = (true, "");
        try
        {
            await writer.HoldAsync(cancellationToken);
        }
        catch
        {
            await LetGoAsync("it could not be held");
            throw;
        }
    }

    /// <returns>Why the hold is not confirmed; empty when it is.</returns>
    private async Task<string> ThawAsync()
    {
        if (!_mayHold)
        {
            return _lost;
        }

        bool wasHeld = await ReleaseAsync();
        return wasHeld ? "" : "the application does not confirm that its writes were held";
    }

    private async Task LetGoAsync(string why)
    {
        if (_mayHold)
        {
            _lost = $"it was let go before: {why}";
            await ReleaseAsync();
        }
    }

    private async Task<bool> ReleaseAsync()
    {
        _limit = Task.Delay(Timeout.Infinite);
        bool wasHeld = await writer.ReleaseAsync();
        _mayHold = false; // not before: what could not be let go of is tried again, at an abort and at the end
        return wasHeld;
    }
}

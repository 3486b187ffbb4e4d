using Quench.Imaging;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class TaskGroupTests
{
    [Fact]
    public async Task The_first_failure_cancels_the_others_and_is_the_one_thrown_when_all_have_ended()
    {
        bool otherEnded = false;
        async Task WaitForeverAsync(CancellationToken token)
        {
            try
            {
                await Task.Delay(Timeout.Infinite, token);
            }
            finally
            {
                otherEnded = true;
            }
        }

        InvalidDataException thrown = await Assert.ThrowsAsync<InvalidDataException>(() => TaskGroup.RunAsync(
            [WaitForeverAsync, _ => throw new InvalidDataException("first")], TestContext.Current.CancellationToken));
        Assert.Equal("first", thrown.Message);
        Assert.True(otherEnded);
    }

    [Fact]
    public async Task Cancelling_from_outside_cancels_all()
    {
        using CancellationTokenSource source = new();
        Task group = TaskGroup.RunLanesAsync(3, token => Task.Delay(Timeout.Infinite, token), source.Token);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => group);
    }
}

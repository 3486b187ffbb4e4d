using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>The inputs that fuzzing has kept are answered as they were, each with a sentence of its own.</summary>
public sealed class FuzzCorpusTests
{
    [Fact]
    public async Task Each_input_of_the_corpus_is_answered_as_it_was()
    {
        List<string> wrong = [];
        int inputs = 0;
        foreach (string path in FuzzCorpus.Files())
        {
            (byte[] image, IReadOnlyList<FuzzCorpus.Input> changed) = FuzzCorpus.Read(path);
            foreach (FuzzCorpus.Input input in changed)
            {
                byte[] volume = [.. image];
                foreach ((int at, byte value) in input.Changes)
                {
                    volume[at] = value;
                }

                string answer = FuzzCorpus.AnswerOf(await Judgement.AnalyseAsync(volume, input.Condition));
                inputs++;
                if (answer != input.Answer)
                {
                    wrong.Add($"{Path.GetFileName(path)}: expected \"{input.Answer}\", got \"{answer}\"");
                }
            }
        }

        Assert.True(inputs > 100, $"only {inputs} inputs are committed");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }
}

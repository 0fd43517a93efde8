using System.Text.Json;
using Microsoft.Extensions.AI;

namespace DeepRecall.Trajectory;

/// <summary>Finds what a run left on responses, updates and exceptions.</summary>
public static class TrajectoryExtensions
{
    /// <summary>The key of the trajectory in <c>AdditionalProperties</c> and in <see cref="Exception.Data"/>.</summary>
    internal const string Key = "deeprecall.trajectory";

    /// <summary>Gets the trajectory of the run that made a response.</summary>
    /// <param name="response">A response of a <see cref="DeepRecallChatClient"/>, or of a stream of its updates; it may have gone through a cache.</param>
    /// <returns>The trajectory, or <see langword="null"/> when an RLM did not make the response.</returns>
    public static RlmTrajectory? GetTrajectory(this ChatResponse response)
    {
        ArgumentNullException.ThrowIfNull(response);
        return Read(response.AdditionalProperties)
            ?? response.Messages.Reverse().Select(message => Read(message.AdditionalProperties)).FirstOrDefault(found => found is not null);
    }

    /// <summary>Gets the trajectory of the run that made an update: the last update of a stream has it.</summary>
    /// <param name="update">An update of a <see cref="DeepRecallChatClient"/>.</param>
    /// <returns>The trajectory, or <see langword="null"/> when the update has none.</returns>
    public static RlmTrajectory? GetTrajectory(this ChatResponseUpdate update)
    {
        ArgumentNullException.ThrowIfNull(update);
        return Read(update.AdditionalProperties);
    }

    /// <summary>Gets the trajectory of the run that an exception ended: its turns, its usage and its best partial answer.</summary>
    /// <param name="exception">An exception that a <see cref="DeepRecallChatClient"/> threw.</param>
    /// <returns>The trajectory, or <see langword="null"/> when the run had not begun.</returns>
    public static RlmTrajectory? GetTrajectory(this Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception.Data[Key] as RlmTrajectory;
    }

    /// <summary>Gets the events in a streamed update.</summary>
    /// <param name="update">An update of a <see cref="DeepRecallChatClient"/>.</param>
    /// <returns>The events, in order; empty when the update has none.</returns>
    public static IEnumerable<DeepRecallEvent> GetDeepRecallEvents(this ChatResponseUpdate update)
    {
        ArgumentNullException.ThrowIfNull(update);
        return update.Contents.Select(content => content.RawRepresentation).OfType<DeepRecallEvent>();
    }

    private static RlmTrajectory? Read(AdditionalPropertiesDictionary? properties) =>
        properties is null || !properties.TryGetValue(Key, out var value) ? null : value switch
        {
            RlmTrajectory trajectory => trajectory,
            JsonElement element => Deserialize(element),
            _ => null,
        };

    private static RlmTrajectory? Deserialize(JsonElement element)
    {
        try
        {
            return element.Deserialize(TrajectoryJson.Default.RlmTrajectory);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

// A client of a hostile run: writes its script's bytes, and reads what comes back as strictly as
// any other. The nth final response answers the nth request of its stream; it is the proxy's own
// error or an answer that an origin gave to that request, byte for byte.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test/sim/hostile_ledger.h"
#include "test/sim/hostile_scenario.h"
#include "test/sim/http_reader.h"
#include "test/sim/sim_network.h"
#include "test/sim/sim_peer.h"

namespace edge::sim {

class HostileClient final : public SimPeer, private HttpReader::Handler {
 public:
  // None of the pointers is owned; all outlive this, which outlives the simulation.
  HostileClient(SimNetwork* network, const HostileClientScript* script, size_t index,
                HostileLedger* ledger, Random random);

  void Start(const uring::SocketAddress& server);
  bool done() const { return state_ == State::kDone; }
  // At the end of a calm run: what an origin answered has come. `retries`: the proxy has tried some
  // request again. It does so as well where an answer overtakes the completion of the send that it
  // answers, as it might then be what an origin says that closes an idle connection.
  void JudgeEnd(bool retries);

 private:
  enum class State : uint8_t { kWaiting, kTalking, kDone };

  // An answer that the response may be, and what it means as far as it is there.
  struct Candidate {
    void Read();
    std::shared_ptr<HostileLedger::Answer> answer;
    std::string method;  // of the request
    WireResponse response;
    size_t bytes_read = SIZE_MAX;
    bool ended_read = false;
  };

  const WireMessage& answering() const { return script_.requests[answered_]; }
  void Violation(std::string_view what);
  void OnConnected(int error, Endpoint* endpoint);
  void WriteMore();
  void EndScript();
  void GiveUpWaiting(size_t piece);
  void Finish() { state_ = State::kDone; }
  bool IsAnswer(const ReadHead& head, const WireResponse& response);
  void FindAnswers(const ReadHead& head);

  // SimPeer
  void OnBytes(std::string_view bytes) override;
  void OnEnd(int error) override;
  // HttpReader::Handler
  void OnHead(const ReadHead& head) override;
  void OnBody(std::string_view bytes) override;
  void OnMessageEnd() override;
  void OnTunnel(std::string_view bytes) override;
  bool AnswersHead() override;

  SimNetwork& network_;
  const HostileClientScript& script_;
  const size_t index_;
  HostileLedger& ledger_;
  HttpReader reader_{HttpReader::Kind::kResponses, this};
  State state_ = State::kWaiting;
  size_t next_piece_ = 0;
  size_t written_ = 0;            // of the stream
  size_t waited_for_ = SIZE_MAX;  // piece that has waited long enough
  size_t paused_for_ = SIZE_MAX;  // piece that is being waited with
  bool continue_read_ = false;
  bool stalled_ = false;
  bool reset_ = false;
  size_t answered_ = 0;
  std::vector<bool> from_origin_;  // by number of the request
  // Of the response that is being read.
  bool in_response_ = false;
  bool from_proxy_ = false;
  bool last_response_ = false;
  size_t interim_read_ = 0;
  size_t body_bytes_ = 0;
  size_t tunnel_bytes_ = 0;
  std::vector<Candidate> answers_;  // that it may be
};

}  // namespace edge::sim

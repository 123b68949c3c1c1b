// A scripted client: one connection, its exchanges in order, pipelined as far as the script says,
// and every byte of every response checked against what the exchange's id says it must be.

#pragma once

#include <cstdint>
#include <string_view>

#include "test/sim/http_reader.h"
#include "test/sim/ledger.h"
#include "test/sim/scenario.h"
#include "test/sim/sim_network.h"
#include "test/sim/sim_peer.h"

namespace edge::sim {

class SimClient final : public SimPeer, private HttpReader::Handler {
 public:
  // None of the pointers is owned; all outlive this, which outlives the simulation.
  SimClient(SimNetwork* network, const Scenario* scenario, size_t index, Ledger* ledger,
            Random random);

  // Connects at the script's time.
  void Start(const uring::SocketAddress& server);
  // It will neither send nor expect anything more.
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t {
    kWaiting,  // for its time, or for the connection
    kTalking,
    kDone,
  };

  const ClientScript& script() const { return scenario_.clients[index_]; }
  const ExchangeScript& answering() const {
    return scenario_.exchange(script().exchanges[answered_]);
  }

  const ExchangeScript& LastAnswered() const {
    return scenario_.exchange(script().exchanges[answered_ == 0 ? 0 : answered_ - 1]);
  }

  void CheckFields(const ReadHead& head);
  void OnConnected(int error, Endpoint* endpoint);
  void SendMore();
  void SendRequest(const ExchangeScript& exchange);
  void Continue();
  void SendBody(const ExchangeScript& exchange);
  void Misbehave();
  void Finish();

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
  const Scenario& scenario_;
  const size_t index_;
  Ledger& ledger_;
  HttpReader reader_{HttpReader::Kind::kResponses, this};
  State state_ = State::kWaiting;
  size_t sent_ = 0;                 // exchanges begun
  size_t answered_ = 0;             // exchanges whose response is complete
  bool awaiting_continue_ = false;  // the body of the last one sent is held back
  bool stalled_ = false;
  bool thinking_ = false;
  // Of the response that is being read.
  bool in_response_ = false;
  bool from_origin_ = false;
  int interim_read_ = 0;
  bool last_response_ = false;  // the connection ends with it
  uint64_t body_read_ = 0;
  uint64_t tunnel_read_ = 0;
};

}  // namespace edge::sim

// A counter that walks a light, a shift register as its source of noise, and a small multiplier: what synthesis has to do with
// registers, carries, lookup tables and a state machine.
module top(input clk, input button, output [3:0] leds);
  reg [11:0] count = 0;
  reg [7:0] noise = 8'h5a;
  reg [1:0] state = 0;
  reg [3:0] light = 1;
  wire [7:0] product = noise[3:0] * count[11:8];

  always @(posedge clk) begin
    count <= count + 1;
    noise <= {noise[6:0], noise[7] ^ noise[5] ^ noise[4] ^ noise[3]};
    case (state)
      0: if (button) state <= 1;
      1: begin
        light <= {light[2:0], light[3]};
        state <= 2;
      end
      2: if (!button) state <= product[7] ? 3 : 0;
      default: begin
        light <= light ^ product[3:0];
        state <= 0;
      end
    endcase
  end
  assign leds = light;
endmodule
